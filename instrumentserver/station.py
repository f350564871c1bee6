"""`Station`: a QCoDeS station of local and remote instruments, started from one file."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import IO, Any, AnyStr, Final, Self

from qcodes.instrument import Instrument
from qcodes.metadatable import Metadatable
from qcodes.parameters import DelegateParameter, Parameter
from qcodes.station import Station as QcodesStation
from qcodes.station import get_config_enable_forced_reconnect
from qcodes.utils import getattr_indexed
from ruamel.yaml import YAML

from instrumentserver.client import RemoteInstrument, address_of
from instrumentserver.client.metadatable import RemoteMetadatable
from instrumentserver.client.snapshots import take_snapshots
from instrumentserver.errors import ConnectFailed, UnknownName, UsageError
from instrumentserver.process.finding import connect, make_instrument

__all__ = ["Station", "load_section"]

logger = logging.getLogger(__name__)

_UPDATE: Final = inspect.signature(QcodesStation.snapshot_base).parameters["update"].default
"""What this version of QCoDeS means by a station's snapshot without further words."""

_SECTION: Final = "instrumentserver.station"
"""The argument by which a section reaches `load_section`; no driver has one of that name."""


class Station(QcodesStation):
    """A QCoDeS station, some of whose instruments live on servers.

    Its YAML file is QCoDeS's, in which an instrument of any driver class may name its server, beside its type or
    among the arguments of its constructor; ``""`` is the class's default server::

        instruments:
          dac:
            type: instruments.Dac
            server_name: source
            parameters:
              ch1.v: {limits: [-2, 2], initial_value: 0}
          dmm:
            type: qcodes.instrument_drivers.Keysight.Keysight34465A
            address: TCPIP::10.0.0.7::INSTR
            init: {server_name: meter}

    `load_instrument` starts the server if it does not run, and makes the instrument there. An instrument of that
    name and class that the server has already is found instead: its arguments count no more, labels, limits and
    whatever else the file says are applied, but no ``initial_value``, so that a kernel that was restarted finds
    its voltages as they were. ``enable_forced_reconnect: true`` closes it and makes it anew.

    A snapshot takes one message for each server, and as long as the slowest server. Instruments that were closed
    elsewhere, or whose server has ended, leave the station with a warning in the log.

    The arguments are those of `qcodes.station.Station`.
    """

    def load_config(self, config: str | IO[AnyStr]) -> None:
        """Load a configuration, as QCoDeS does.

        Args:
            config: YAML text, or an open file of it.

        Raises:
            UsageError: An instrument names two servers.
        """
        text = config if isinstance(config, str) else config.read()
        super().load_config(_as_arguments(text if isinstance(text, str) else text.decode("utf-8")))
        self._instrument_config: dict[str, Any] = {
            identifier: _Section(self, written).read
            if isinstance(written, Mapping) and "type" in written
            else written
            for identifier, written in self._instrument_config.items()
        }

    def load_instrument(
        self, identifier: str, revive_instance: bool = False, update_snapshot: bool = True, **kwargs: Any
    ) -> Instrument:
        """Make an instrument that the file describes, or find it, and make it a component.

        Args:
            identifier: Its name in the file.
            revive_instance: Whether an instrument of that name in this process is returned as it is.
            update_snapshot: Whether all its parameters are read from the hardware.
            kwargs: Arguments of the constructor that count more than the file's; ``server_name`` is one of them.

        Raises:
            KeyError: The station has an instrument of that name.
            TypeError: The server has an instrument of that name, of another class.
            Exception: Whatever the constructor or a setting raised; what was made on a server is closed again.
        """
        self._new_on_server: list[RemoteInstrument] = []
        try:
            return super().load_instrument(identifier, revive_instance, update_snapshot, **kwargs)
        except BaseException:
            for instrument in self._new_on_server:
                # Else the next attempt would find it, without its initial values.
                instrument.close()
            raise

    def snapshot_base(
        self, update: Any = _UPDATE, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """Return the state of the station, equal to that of a QCoDeS station with the same components.

        Args:
            update: Whether values are read from the hardware, as QCoDeS means it.
            params_to_skip_update: Not used.

        Raises:
            Exception: What the snapshot of a component raised.
        """
        for name, component in list(self.components.items()):
            if _is_closed(component):
                self.remove_component(name)
        shown = {
            name: component for name, component in self.components.items() if not _is_excluded(component)
        }
        remote = {
            name: component for name, component in shown.items() if isinstance(component, RemoteMetadatable)
        }
        outcomes = dict(zip(remote, take_snapshots(list(remote.values()), update), strict=True))
        snapshot: dict[str, Any] = {"instruments": {}, "parameters": {}, "components": {}}
        for name, component in shown.items():
            found = outcomes[name] if name in outcomes else component.snapshot(update=update)
            if isinstance(found, Exception):
                logger.warning("%s is no longer part of the station: %s", name, str(found).partition("\n")[0])
                self.remove_component(name)
            else:
                snapshot[_heading(component)][name] = found
        return {**snapshot, "config": self.config}


def _is_closed(component: Metadatable) -> bool:
    if isinstance(component, RemoteInstrument):
        # QCoDeS's registry has but one of two instruments that bear one name on two servers.
        return not component._is_built
    return isinstance(component, Instrument) and not Instrument.is_valid(component)


def _is_excluded(component: Metadatable) -> bool:
    return isinstance(component, Parameter) and component.snapshot_exclude


def _heading(component: Metadatable) -> str:
    """Return under which heading of a snapshot QCoDeS puts a component."""
    if isinstance(component, Instrument):
        return "instruments"
    return "parameters" if isinstance(component, Parameter) else "components"


def _as_arguments(config: str) -> str:
    """Return a configuration with all server names among the arguments, where QCoDeS's schema allows them."""
    if "server_name" not in config:
        return config
    yaml = YAML()
    read = _plain(yaml.load(config))
    instruments = read.get("instruments") if isinstance(read, dict) else None
    for identifier, section in instruments.items() if isinstance(instruments, dict) else ():
        if not isinstance(section, dict) or "server_name" not in section:
            continue
        name = section.pop("server_name")
        init = section.get("init") or {}
        if init.get("server_name", name) != name:
            raise UsageError(
                f"instrument {identifier!r} is to live on server {name!r}, and on {init['server_name']!r} according "
                f"to its init; leave one server_name out"
            )
        section["init"] = {**init, "server_name": name}
    written = StringIO()
    yaml.dump(read, written)
    return written.getvalue()


def _plain(value: Any) -> Any:
    """Return what was read with dicts of its own at every place, also where the file refers to another place."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def load_section(name: str, **arguments: Any) -> Any:
    """Make or find the instrument of a section; QCoDeS calls it in the place of the driver class."""
    section: _Section = arguments.pop(_SECTION)
    return section.load(name, arguments)


class _Section:
    """What the file says about one instrument.

    Args:
        station: The station that loads it.
        written: What the file says.

    Attributes:
        read: What QCoDeS reads instead. It imports ``type`` and calls it with ``init``, then applies the settings,
            which by then are those for an instrument that is new, or for one that was found.
    """

    def __init__(self, station: Station, written: Mapping[str, Any]) -> None:
        self._station = station
        self._driver: str = written["type"]
        self._settings: dict[str, Any] = {
            **{key: value for key, value in written.items() if key not in ("type", "init")},
            "parameters": written.get("parameters") or {},
            "add_parameters": written.get("add_parameters") or {},
        }
        self.read = {
            **self._settings,
            "type": f"{__name__}.{load_section.__name__}",
            "init": {**(written.get("init") or {}), _SECTION: self},
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the section itself: QCoDeS copies the arguments of a constructor before it calls it."""
        return self

    def load(self, name: str, arguments: dict[str, Any]) -> Instrument:
        """Return the instrument, and prepare the settings that QCoDeS will apply to it.

        Raises:
            KeyError: The station has an instrument of that name.
            TypeError: The server has an instrument of that name, of another class.
            Exception: Whatever the constructor raised.
        """
        module, _, class_name = self._driver.rpartition(".")
        cls = getattr(importlib.import_module(module), class_name)
        server_name = arguments.pop("server_name", None)
        self.read.update(self._settings)
        if server_name is None:
            made: Instrument = cls(name=name, **arguments)
            return made
        self._make_room(name)
        forced = self._settings.get("enable_forced_reconnect", get_config_enable_forced_reconnect())
        instrument, is_new = make_instrument(
            cls, name, (), arguments, server_name, if_exists="recreate" if forced else "find"
        )
        if is_new:
            self._station._new_on_server.append(instrument)
        else:
            logger.info("%s was found on %s; it keeps its values", name, address_of(instrument))
            self.read.update(_settings_of_found(instrument, self._settings))
        return instrument  # type: ignore[no-any-return]

    def _make_room(self, name: str) -> None:
        """Make sure that the station has no instrument of that name; one that is gone leaves it."""
        held: Any = self._station.components.get(name)
        if held is None:
            return
        if not _is_gone(held):
            raise KeyError(
                f"Another instrument has the name: {name}; it is {held!r}, a component of this station: "
                f"load it with revive_instance=True, or call close_and_remove_instrument({name!r}) first"
            )
        self._station.remove_component(name)


def _is_gone(component: Any) -> bool:
    """Return whether a component is a remote instrument that has been closed, or whose server has ended."""
    address = address_of(component) if isinstance(component, RemoteInstrument) else None
    if address is None:
        return False
    try:
        return address.path not in list(connect(address.server).instruments)
    except (ConnectFailed, UnknownName):
        return True


def _settings_of_found(instrument: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is applied to an instrument that is there already: everything but values.

    A parameter that the file adds, and that it has already, is set up like one of its own.
    """
    found = _without_initial_values(settings)
    own, added = dict(found["parameters"]), {}
    for name, options in found["add_parameters"].items():
        if _has_parameter(instrument, name, options.get("source")):
            own[name] = {key: value for key, value in options.items() if key != "source"}
        else:
            added[name] = options
    return {**found, "parameters": own, "add_parameters": added}


def _without_initial_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_initial_values(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if key != "initial_value"
    }


def _has_parameter(instrument: Any, name: str, source: str | None) -> bool:
    """Return whether a parameter has been added already; one that leads elsewhere now is removed first."""
    *above, last = name.split(".")
    node = _walk(instrument, above)
    parameter = node.parameters.get(last)
    if source is None or not isinstance(parameter, DelegateParameter):
        # Where the driver has a parameter of that name, QCoDeS refuses to add another, as for a new instrument.
        return source is None and parameter is not None
    if parameter.source is not _walk(instrument, source.split(".")):
        node.remove_parameter(last)
        return False
    return True


def _walk(instrument: Any, parts: Sequence[str]) -> Any:
    """Return what a dotted name of the file leads to, from an instrument on."""
    for part in parts:
        instrument = getattr_indexed(instrument, part)
    return instrument
