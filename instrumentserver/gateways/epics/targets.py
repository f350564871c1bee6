"""Targets: which instruments of which servers are to be served."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from instrumentserver.directory import Directory
from instrumentserver.errors import UsageError
from instrumentserver.process.finding import default_server_name
from instrumentserver.station import Station
from instrumentserver.transport.address import Address, check_server_name, is_server_address

__all__ = ["Target", "find_targets"]

logger = logging.getLogger(__name__)


class Target(NamedTuple):
    """What is served of one server.

    Attributes:
        address: The server's address, ``unix:NAME`` or ``tcp://HOST:PORT``.
        instruments: The names of the instruments that are served; None for all.
    """

    address: str
    instruments: frozenset[str] | None = None


def find_targets(names: Iterable[str], *, start: bool = False) -> list[Target]:
    """Return what names mean: servers, single instruments of servers, or the YAML files of stations.

    Args:
        names: ``foo``, ``foo/dac``, ``unix:foo``, ``tcp://127.0.0.1:5900`` or ``lab.yaml``.
        start: Whether servers and instruments that a file names are started and made where they are not there; what
            cannot be made is logged.

    Raises:
        UsageError: One of them can mean nothing, or a file names no server.
    """
    wanted: dict[str, frozenset[str] | None] = {}
    for name in names:
        found = _in_file(Path(name), start) if name.endswith((".yaml", ".yml")) else [_named(name)]
        for target in found:
            known = wanted.get(target.address, frozenset())
            wanted[target.address] = (
                None if known is None or target.instruments is None else known | target.instruments
            )
    if not wanted:
        raise UsageError(
            "nothing is named that could be served; name a server, such as foo, or a file, lab.yaml"
        )
    return [Target(address, instruments) for address, instruments in wanted.items()]


def _named(name: str) -> Target:
    if is_server_address(name):
        address = Address.parse(name)
    else:
        server, _, path = name.partition("/")
        address = Address(_address_of(server), path)
    return Target(address.server, frozenset((address.path,)) if address.path else None)


def _address_of(server: str) -> str:
    """Return the address of a server of this computer, which may listen on TCP; it need not run yet."""
    record = Directory.default().find(check_server_name(server))
    return f"unix:{server}" if record is None else record.address


def _in_file(path: Path, start: bool) -> list[Target]:
    """Return the servers and instruments that the file of a station names."""
    if not path.is_file():
        raise UsageError(
            f"there is no file {path}; give the path of a station's YAML file, or the name of a server"
        )
    station = Station(config_file=str(path), default=False)
    config: Mapping[str, Any] = station.config or {}
    sections: Mapping[str, Any] = config.get("instruments") or {}
    found = []
    for name, section in sections.items():
        server = (section.get("init") or {}).get("server_name") if isinstance(section, Mapping) else None
        if server is not None:
            if start:
                _load(station, name)
            found.append(Target(_address_of(server or _usual_server(section)), frozenset((name,))))
    if not found:
        raise UsageError(
            f"{path} gives no instrument a server_name; only instruments on servers can be served"
        )
    return found


def _load(station: Station, name: str) -> None:
    try:
        station.load_instrument(name, update_snapshot=False)
    except Exception:
        logger.exception("instrument %s could not be made; it is served as soon as somebody makes it", name)


def _usual_server(section: Mapping[str, Any]) -> str:
    """Return the server of an instrument for which the file names the usual one of its class."""
    module, _, class_name = str(section["type"]).rpartition(".")
    cls = getattr(importlib.import_module(module), class_name)
    init = {key: value for key, value in (section.get("init") or {}).items() if key != "server_name"}
    return default_server_name(
        cls, {**init, **({"address": section["address"]} if "address" in section else {})}
    )
