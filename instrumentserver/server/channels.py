"""Operations on channels: parameters by name, described, read and written several at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from qcodes.parameters import ParameterBase

from instrumentserver.errors import NotPortable, UnknownName
from instrumentserver.schema import ChannelType
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import Op
from instrumentserver.wire.values import shown

from .caller import Caller
from .describe import module_paths
from .describe_channel import describe_channel
from .hosted import Hosted, path_of
from .instruments import Instruments

__all__ = ["ChannelOperations"]

_SIMPLE: Final = frozenset((type(None), bool, int, float, str, np.float64))
"""Types that travel for certain."""
_ATTEMPTS: Final = 10


class ChannelOperations:
    """Describes, reads and writes parameters by name.

    Args:
        instruments: The server's instruments.
        is_portable: Tells whether a value can travel.

    Attributes:
        table: The operations by name.
    """

    def __init__(self, instruments: Instruments, is_portable: Callable[[Any], bool]) -> None:
        self._instruments = instruments
        self._is_portable = is_portable
        self._known: dict[str, tuple[Hosted, int, _Names]] = {}
        self.table: dict[str, Callable[..., list[Any]]] = {
            Op.CHANNELS: self.describe,
            Op.READ_CHANNELS: self.read,
            Op.WRITE_CHANNELS: self.write,
        }

    def describe(self, caller: Caller, path: str, names: list[str] | None = None) -> list[Any]:
        """Describe channels: for each name the fields of a `ChannelSchema`, or None.

        Never asks the hardware, and never waits for a call that is under way.

        Args:
            caller: Who asks.
            path: Of no meaning.
            names: Paths with dots or colons between their parts, or QCoDeS's full names, with underscores. None
                describes every parameter of every instrument that can be a channel.
        """
        if names is None:
            every = [item for hosted in self._instruments for item in self._names(hosted).by_path.items()]
            found = [self._row(place, parameter) for place, parameter in every]
            return [0, [row for row in found if row is not None]]
        return [0, [self._find(name) for name in names]]

    def read(self, caller: Caller, path: str, items: list[list[Any]]) -> list[Any]:
        """Read parameters in turn, ``[path]`` each: ``[True, value, timestamp]`` or ``[False, failure]`` for each.

        The timestamp is in seconds since 1970. A parameter that can only be set has the value that it was set to, and
        a stream its latest one; and the time of that.
        """
        replies: list[list[Any]] = []
        for (place,) in items:
            try:
                value, timestamp = self._read(caller, place)
                if len(items) > 1 and type(value) not in _SIMPLE and not self._is_portable(value):
                    raise NotPortable(
                        f"{place}: {shown(value)} cannot travel; have the driver return plain values"
                    )
                replies.append([True, value, timestamp])
            except Exception as error:  # noqa: BLE001  (the client raises it)
                replies.append([False, dump_failure(error, caller.where)])
        return [0, replies]

    def write(self, caller: Caller, path: str, items: list[list[Any]]) -> list[Any]:
        """Set parameters in turn, ``[path, value]`` each: ``[True, None, timestamp]`` or ``[False, failure]`` for each.

        The timestamp is in seconds since 1970.
        """
        replies: list[list[Any]] = []
        for place, value in items:
            try:
                target = self._instruments.target(place)
                if target.set is None:
                    raise NotImplementedError(f"no set cmd found in Parameter {target.thing.name}")
                caller.begin(target.hosted, Op.SET, place)
                try:
                    target.set(value)
                finally:
                    caller.end()
                replies.append([True, None, time.time()])
            except Exception as error:  # noqa: BLE001  (the client raises it)
                replies.append([False, dump_failure(error, caller.where)])
        return [0, replies]

    def _read(self, caller: Caller, place: str) -> tuple[Any, float]:
        target = self._instruments.target(place)
        get = target.get
        if target.is_cache or get is None:
            cache = target.thing.cache
            written = cache.timestamp
            return cache.get(get_if_invalid=False), 0.0 if written is None else written.timestamp()
        caller.begin(target.hosted, Op.GET, place)
        try:
            return get(), time.time()
        finally:
            caller.end()

    def _find(self, name: str) -> list[Any] | None:
        """Return the description of the parameter of a name, None if there is none."""
        place = name.replace(":", ".")
        hosted = self._instruments.get(place.partition(".")[0])
        if hosted is None:
            return self._find_full(name)
        names = self._names(hosted)
        parameter = names.by_path.get(place)
        if parameter is None:
            # One of several ways to the same parameter, such as a channel's number in its list.
            try:
                parameter = hosted.target(place).thing
            except UnknownName:
                return None
            if not isinstance(parameter, ParameterBase):
                return None
            canonical = path_of(parameter, hosted)
            place = canonical if canonical in names.by_path else place
        return self._row(place, parameter)

    def _find_full(self, name: str) -> list[Any] | None:
        for hosted in self._instruments:
            if name.startswith(f"{hosted.name}_"):
                names = self._names(hosted)
                place = names.by_full_name().get(name)
                if place is not None:
                    return self._row(place, names.by_path[place])
        return None

    def _names(self, hosted: Hosted) -> _Names:
        known = self._known.get(hosted.name)
        number = hosted.version.number
        if known is None or known[0] is not hosted or known[1] != number:
            known = self._known[hosted.name] = (hosted, number, _Names(hosted))
        return known[2]

    def _row(self, place: str, parameter: Any) -> list[Any] | None:
        schema = describe_channel(place, parameter)
        if schema is None:
            return None
        if (schema.keys or schema.aliases) and not self._is_portable([schema.keys, schema.aliases]):
            # Nobody else could name such a value.
            text = int(ChannelType.STRING)
            schema = schema._replace(type=text, choices=[], keys=[], aliases=[], settable=False)
        return list(schema)


class _Names:
    """The parameters of an instrument by name, at one version of its tree."""

    def __init__(self, hosted: Hosted) -> None:
        self.by_path = _parameters(hosted)
        self._by_full_name: dict[str, str] | None = None

    def by_full_name(self) -> dict[str, str]:
        """Return the path for each of QCoDeS's full names."""
        if self._by_full_name is None:
            self._by_full_name = {parameter.full_name: path for path, parameter in self.by_path.items()}
        return self._by_full_name


def _parameters(hosted: Hosted) -> dict[str, Any]:
    """Return the parameters of an instrument and of everything below it, by path."""
    for attempt in itertools.count(1):
        try:
            return {
                f"{place}.{name}": parameter
                for module, place, _ in module_paths(hosted).values()
                for name, parameter in module.parameters.items()
            }
        except RuntimeError:
            # A call that is under way changed the tree.
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError
