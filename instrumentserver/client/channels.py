"""Channel tuples and lists of remote instruments: what concerns several channels is one message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from qcodes.instrument import ChannelList, ChannelTuple
from qcodes.parameters import ArrayParameter, MultiChannelInstrumentParameter, MultiParameter

from instrumentserver.errors import NotPortable
from instrumentserver.schema import ChannelListSchema
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.messages import Op

from .additions import add_channel_snapshots
from .attribute import NestedAttributes, get_attribute, is_forwarded, server_has, set_attribute
from .claim import claimed_class
from .link import Link
from .metadatable import DEFAULT_UPDATE, RemoteMetadatable
from .method import RemoteMethod

__all__ = ["RemoteChannelList", "RemoteChannelTuple"]

_OF_ARRAYS: Final = ("shape", "setpoints", "setpoint_names", "setpoint_labels", "setpoint_units")
_ADVICE: Final = (
    "Value should either be valid for a single parameter of the channel list "
    "or a sequence of valid values of the same length as the list."
)


class RemoteMultiChannelParameter(MultiChannelInstrumentParameter[Any]):
    """The same parameter of several channels, read and set with one message.

    Args:
        link: The instrument's link.
        channels: The channels.
        param_name: Name of the parameter.
        kwargs: As for the class of QCoDeS.
    """

    _is_built = False

    def __init__(self, link: Link, channels: Sequence[Any], param_name: str, **kwargs: Any) -> None:
        self._link = link
        self._paths = [f"{channel._path}.{param_name}" for channel in channels]
        super().__init__(channels=channels, param_name=param_name, **kwargs)
        self._is_built = True

    def get_raw(self) -> tuple[Any, ...]:
        """Return the values of all channels."""
        return tuple(_each(self._link, [[Op.GET, path] for path in self._paths]))

    def set_raw(self, value: Any) -> None:
        """Set all channels to one value, or each to its own.

        Raises:
            Exception: What the parameter of a channel raised; channels before it are set.
        """
        try:
            _each(self._link, [[Op.SET, path, value] for path in self._paths])
        except Exception as error:  # noqa: BLE001  (raised again, unless each channel has a value of its own)
            try:
                values = list(value)
                if len(values) != len(self._paths):
                    raise ValueError(f"{len(values)} values for {len(self._paths)} channels")
                _each(
                    self._link, [[Op.SET, path, one] for path, one in zip(self._paths, values, strict=True)]
                )
            except (TypeError, ValueError):
                error.add_note(_ADVICE)
                raise error from None

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Return the snapshot, with the names of the classes that a local instrument has."""
        snapshot = super().snapshot_base(*args, **kwargs)
        snapshot["__class__"] = class_text(MultiChannelInstrumentParameter).replace(":", ".")
        if "instrument" in snapshot:
            node: Any = self.instrument
            snapshot["instrument"] = node._schema.classes[0].replace(":", ".")
        return snapshot

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """Labels of the channels' parameters."""
        return self._texts("label")

    @labels.setter
    def labels(self, labels: object) -> None:
        """Ignore what QCoDeS's constructor makes of them."""

    @property
    def units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Units of the channels' parameters."""
        return self._texts("unit")

    @units.setter
    def units(self, units: object) -> None:
        """Ignore what QCoDeS's constructor makes of them."""

    def _texts(self, name: str) -> tuple[str, ...]:
        if not self._is_built:
            return ()
        return tuple(_each(self._link, [[Op.GET_ATTRIBUTE, path, name] for path in self._paths]))


class RemoteChannels(NestedAttributes, RemoteMetadatable, ChannelTuple[Any]):
    """What remote channel tuples and lists have in common, and parts of them.

    Attributes:
        _schema: What the server's list looks like; also for a part of it.
        _path: The path of the list, "" for a part of it.
    """

    _schema: ChannelListSchema

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        if not self._is_built:
            return type(self)
        return claimed_class(self._schema.classes, type(self))

    def show(self, link: Link, path: str, schema: ChannelListSchema) -> None:
        """Stand for a list of the server."""
        self._link = link
        self._path = path
        self._schema = schema
        self._methods = {}
        if path:
            self._methods = {method.name: RemoteMethod(link, path, method) for method in schema.methods}
        vars(self).update(self._methods)
        self._is_built = True

    def snapshot(self, update: Any = DEFAULT_UPDATE) -> dict[str, Any]:  # type: ignore[override,misc]
        """Return the server's snapshot, one message; of a part of a list one for each channel."""
        if self._path:
            found = super().snapshot(update)
            add_channel_snapshots(self, found, update)
            return found
        snapshot = ChannelTuple.snapshot_base(self, update)
        return {**snapshot, "__class__": self._schema.classes[0].replace(":", ".")}

    def __getitem__(self, index: Any) -> Any:
        """Return a channel, or for a slice or several indices a part of the list."""
        return self._part(super().__getitem__(index))

    def __add__(self, other: Any) -> Any:
        return self._part(super().__add__(other))

    def get_channels_by_name(self, *names: str) -> Any:
        """Return the part of the list that has these channels."""
        return self._part(super().get_channels_by_name(*names))

    def multi_function(self, name: str) -> Callable[..., None]:
        """Return what calls a function or a method of every channel, in turn, with one message."""
        if len(self) and self._is_remote():
            if name in self._channels[0].functions:
                return self._caller("", f".{name}")
            # Where somebody put a function of his own in the method's place, that one is called.
            if all(isinstance(getattr(channel, name, None), RemoteMethod) for channel in self):
                return self._caller(name, "")
        return super().multi_function(name)

    def __getattr__(self, name: str) -> Any:
        if not self._is_built or not is_forwarded(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if not self._path and name in self._own_names():
            return self._of_part(name)
        if name in self._schema.attributes or name.startswith("_"):
            return get_attribute(self, name)
        if len(self) and self._is_remote() and name not in self._channels[0].parameters:
            first = self._channels[0]
            if name in first.functions or name in first._methods:
                return self.multi_function(name)
            if name in self._channel_mapping and not hasattr(type(first), name):
                return self._channel_mapping[name]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_built and self._path and self._is_kept_there(name):
            set_attribute(self, name, value)
        else:
            super().__setattr__(name, value)

    def _is_kept_there(self, name: str) -> bool:
        if name in self._schema.attributes:
            return True
        is_ours = name in vars(self) or hasattr(type(self), name)
        return name.startswith("_") and not is_ours and is_forwarded(name) and server_has(self, name)

    def _own_names(self) -> set[str]:
        """Return what the driver's own class of channel lists adds to QCoDeS's."""
        return {*self._schema.attributes, *(method.name for method in self._schema.methods)}

    def _of_part(self, name: str) -> Any:
        """Return a method or property of the driver's own class for a part of a list, which is not on the server."""
        cls: Any = claimed_class(self._schema.classes, ChannelTuple)
        if cls in (ChannelTuple, ChannelList):
            raise AttributeError(
                f"{name!r} of a part of {self._schema.list_name} is known to the driver's class only, which this "
                f"process has not imported: use it on the whole list, or import the class"
            )
        part = cls(
            self._parent, self._name, self._chan_type, self._channels, self._snapshotable, self._paramclass
        )
        return getattr(part, name)

    def _construct_multiparam(self, name: str) -> MultiChannelInstrumentParameter[Any]:
        first = self._channels[0].parameters[name]
        as_qcodes = self._paramclass is MultiChannelInstrumentParameter and not isinstance(
            first, MultiParameter
        )
        if not as_qcodes or not self._is_remote():
            return super()._construct_multiparam(name)
        details: dict[str, Any] = {"shapes": tuple(() for _ in self)}
        if isinstance(first, ArrayParameter):
            details = self._array_details(name)
        return RemoteMultiChannelParameter(
            self._link,
            self._channels,
            name,
            name=f"Multi_{name}",
            names=tuple(f"{channel.name}_{name}" for channel in self),
            instrument=self._parent,
            bind_to_instrument=False,
            **details,
        )

    def _array_details(self, name: str) -> dict[str, Any]:
        wanted = [
            [Op.GET_ATTRIBUTE, f"{channel._path}.{name}", part] for part in _OF_ARRAYS for channel in self
        ]
        values = _each(self._link, wanted)
        size = len(self)
        found = {
            part: tuple(values[number * size : (number + 1) * size]) for number, part in enumerate(_OF_ARRAYS)
        }
        shapes = found.pop("shape")
        return {"shapes": shapes, **{part: all_ if all_[0] else None for part, all_ in found.items()}}

    def _caller(self, method: str, below: str) -> Callable[..., None]:
        def multi_callable(*args: Any) -> None:
            requests = [
                [Op.CALL, f"{channel._path}{below}", method, list(args), {}] for channel in self._channels
            ]
            _each(self._link, requests)

        return multi_callable

    def _is_remote(self) -> bool:
        """Return whether all channels, some of which may have been added here, are the server's."""
        return all(vars(channel).get("_link") is self._link for channel in self._channels)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._own_names(), "metadata"})

    def _part(self, found: Any) -> Any:
        if isinstance(found, RemoteChannels) and not found._is_built:
            found.show(self._link, "", self._schema)
        return found


class RemoteChannelTuple(RemoteChannels):
    """A channel tuple of a remote instrument."""


class RemoteChannelList(RemoteChannels, ChannelList[Any]):
    """A channel list of a remote instrument.

    Channels of the server are added to and taken from the server's list; channels that were made in this process
    are in this process's list only.
    """

    def show(self, link: Link, path: str, schema: ChannelListSchema) -> None:
        """Stand for a list of the server."""
        super().show(link, path, schema)
        self._locked = schema.is_locked

    def append(self, obj: Any) -> None:
        """Add a channel at the end."""
        if not self._on_server("append", obj):
            super().append(obj)

    def insert(self, index: int, obj: Any) -> None:
        """Add a channel before the one of that index."""
        if not self._on_server("insert", index, obj):
            super().insert(index, obj)

    def extend(self, objects: Iterable[Any]) -> None:
        """Add channels at the end."""
        channels = list(objects)
        if not self._on_server("extend", channels):
            super().extend(channels)

    def remove(self, obj: Any) -> None:
        """Take a channel out."""
        if not self._on_server("remove", obj):
            super().remove(obj)

    def clear(self) -> None:
        """Take every channel out."""
        self._on_server("clear")
        super().clear()

    def lock(self) -> None:
        """Have the list stay as it is."""
        self._on_server("lock")
        super().lock()

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._on_server("__setitem__", index, value):
            super().__setitem__(index, value)

    def __delitem__(self, index: Any) -> None:
        if not self._on_server("__delitem__", index):
            super().__delitem__(index)

    def _on_server(self, method: str, *args: Any) -> bool:
        """Change the server's list; return False if that cannot be done with a channel of this process."""
        if not self._path or not self._is_remote():
            return False
        try:
            self._link.request(Op.CALL, self._path, method, list(args), {})
        except NotPortable:
            return False
        self._link.refresh()
        return True


def _each(link: Link, requests: list[list[Any]]) -> list[Any]:
    """Have the server carry out several operations on one instrument in turn; return their values."""
    return list(link.request(Op.EACH, link.name, requests))
