"""Parts that one client adds to a remote instrument: on the server where they can travel, else here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qcodes.instrument import ChannelTuple
from qcodes.instrument.instrument_base import InstrumentBase
from qcodes.metadatable import Metadatable
from qcodes.parameters import Parameter
from qcodes.utils import full_class

from instrumentserver.errors import NotPortable
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.messages import Op

from .metadatable import DEFAULT_UPDATE, RemoteMetadatable

__all__ = ["Additions", "add_channel_snapshots", "add_local_snapshots", "is_local_part"]


class Additions(RemoteMetadatable, InstrumentBase):
    """Adds parameters, functions and submodules to a proxy, as QCoDeS does to an instrument.

    What is made of values, handles and classes that the server has goes to the server, for all clients. What needs
    code or objects of this process, such as ``get_cmd=lambda: ...``, stays here: it works like any
    QCoDeS parameter, and is in the snapshots that this process takes.
    """

    def add_parameter(self, name: str, parameter_class: Any = None, **kwargs: Any) -> Any:
        """Add a parameter and return it.

        Args:
            name: Its name.
            parameter_class: Its class, by default `qcodes.parameters.Parameter`.
            kwargs: Arguments for the class.

        Raises:
            KeyError: There is a parameter of that name already.
        """
        if not self._is_known_here(name, self.parameters):
            sent = [name, class_text(parameter_class or Parameter), kwargs]
            try:
                self._link.request(Op.ADD_PARAMETER, self._path, *sent)
                return self.parameters[name]
            except NotPortable:
                pass
        added = super().add_parameter(name, parameter_class, **kwargs)
        _name_driver(added, self)
        return added

    def add_function(self, name: str, **kwargs: Any) -> None:
        """Add a QCoDeS function.

        Raises:
            KeyError: There is a function of that name already.
        """
        if not self._is_known_here(name, self.functions):
            try:
                self._link.request(Op.CALL, self._path, "add_function", [name], kwargs)
                return
            except NotPortable:
                pass
        super().add_function(name, **kwargs)

    def remove_parameter(self, name: str) -> None:
        """Remove a parameter.

        Raises:
            KeyError: There is none of that name.
        """
        if self._is_known_here(name, self.parameters):
            super().remove_parameter(name)
        else:
            self._link.request(Op.CALL, self._path, "remove_parameter", [name], {})

    def snapshot(self, update: Any = DEFAULT_UPDATE) -> dict[str, Any]:  # type: ignore[override,misc]
        """Return the server's snapshot, one message, and what was added here."""
        found = super().snapshot(update)
        add_local_snapshots(self, found, update)
        return found

    def _is_known_here(self, name: str, parts: dict[str, Any]) -> bool:
        return name in parts and is_local_part(parts[name])


def _name_driver(parameter: Any, node: Any) -> None:
    """Have the snapshot of a parameter of this process name the driver's class, as a local one does."""
    take = parameter.snapshot_base

    def snapshot_base(*args: Any, **kwargs: Any) -> Any:
        snapshot = take(*args, **kwargs)
        if snapshot.get("instrument") == full_class(node):
            snapshot["instrument"] = node._schema.classes[0].replace(":", ".")
        return snapshot

    parameter.snapshot_base = snapshot_base


def is_local_part(value: object) -> bool:
    """Return whether this is a parameter, function, submodule or instrument of this process."""
    return isinstance(value, Metadatable) and not isinstance(value, RemoteMetadatable)


def add_local_snapshots(node: Any, snapshot: dict[str, Any], update: Any) -> None:
    """Put what was added in this process into a snapshot that the server took.

    Args:
        node: The proxy of which it is a snapshot.
        snapshot: Changed in place.
        update: As QCoDeS means it.
    """
    schema = node._schema
    if len(node.functions) != len(schema.functions):
        _add(snapshot.setdefault("functions", {}), node.functions, update)
    if len(node.submodules) != len(schema.submodules) + len(schema.channel_lists):
        _add(snapshot.setdefault("submodules", {}), node.submodules, update)
    if len(node.parameters) != len(schema.parameters):
        added = {name: part for name, part in node.parameters.items() if is_local_part(part)}
        included = {name: part for name, part in added.items() if not part.snapshot_exclude}
        _add(snapshot.setdefault("parameters", {}), included, update)
    for name, part in node.submodules.items():
        found = snapshot.get("submodules", {}).get(name)
        if is_local_part(part) or found is None:
            continue
        if not isinstance(part, ChannelTuple):
            add_local_snapshots(part, found, update)
            continue
        add_channel_snapshots(part, found, update)


def add_channel_snapshots(channels: Iterable[Any], snapshot: dict[str, Any], update: Any) -> None:
    """Put what was added in this process to the channels of a list into the snapshot of the list."""
    found = snapshot.get("channels", {})
    for channel in channels:
        if channel.name in found and not is_local_part(channel):
            add_local_snapshots(channel, found[channel.name], update)


def _add(snapshots: dict[str, Any], parts: Mapping[str, Any], update: Any) -> None:
    snapshots.update(
        {name: part.snapshot(update=update) for name, part in parts.items() if is_local_part(part)}
    )
