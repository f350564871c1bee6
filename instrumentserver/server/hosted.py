"""One instrument on a server, and how names lead to its parts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

from qcodes.instrument import ChannelTuple, InstrumentBase
from qcodes.parameters import ParameterBase

from instrumentserver.errors import UnknownName

from .locks import InstrumentLock
from .observed import Version, observe_tree

__all__ = ["Hosted", "Recipe", "Target", "path_of"]

_MOST_LOOSE: Final = 4096


class Recipe(Protocol):
    """How an instrument was made."""

    def make(self) -> InstrumentBase:
        """Make it again."""

    def ingredients(self) -> list[Any]:
        """Return what another server needs to make it: name, shipped class, arguments, keyword arguments."""


class Target:
    """What a path leads to, with the ways in prepared.

    Attributes:
        hosted: The instrument that it belongs to.
        thing: The instrument, module, channel list, parameter or function itself.
        get: Reads it, where it is a parameter that can be read.
        set: Sets it, where it is a parameter that can be set.
        is_cache: Whether a parameter's cache is all that there is to read: nobody can get it, or it is a stream.
    """

    __slots__ = ("get", "hosted", "is_cache", "set", "thing", "version")

    def __init__(self, hosted: Hosted, thing: Any) -> None:
        self.hosted = hosted
        self.thing = thing
        self.version = hosted.version.number
        is_parameter = isinstance(thing, ParameterBase)
        self.get: Callable[..., Any] | None = getattr(thing, "get", None) if is_parameter else None
        self.set: Callable[..., Any] | None = getattr(thing, "set", None) if is_parameter else None
        self.is_cache = self.get is None or getattr(thing, "is_stream", False) is True


class Hosted:
    """An instrument that lives on this server.

    Attributes:
        name: Its name, the first part of every path to it.
        instrument: The instrument itself.
        recipe: How it was made.
        lock: Held during every call on it.
        version: Counts the changes of its tree.
        is_closed: Whether it was closed; calls that waited for the lock find out here.
    """

    def __init__(self, name: str, instrument: InstrumentBase, recipe: Recipe, lock: InstrumentLock) -> None:
        self.name = name
        self.instrument = instrument
        self.recipe = recipe
        self.lock = lock
        self.version = Version()
        self.is_closed = False
        self._loose: dict[str, Any] = {}
        self._loose_names: dict[int, str] = {}
        self._numbers = itertools.count(1)
        observe_tree(instrument, self.version)

    def loose_path(self, part: Any) -> str:
        """Return a path for a part that the driver keeps without having added it to the instrument.

        The part is kept with it; of very many the oldest are let go.
        """
        name = self._loose_names.get(id(part))
        if name is None:
            if len(self._loose) >= _MOST_LOOSE:
                oldest = next(iter(self._loose))
                del self._loose_names[id(self._loose.pop(oldest))]
            name = self._loose_names[id(part)] = f"#{next(self._numbers)}"
            self._loose[name] = part
        return f"{self.name}.{name}"

    def target(self, path: str) -> Target:
        """Return what a path leads to.

        Raises:
            UnknownName: A part of the path is not there.
        """
        thing: Any = self.instrument
        done, *parts = path.split(".")
        if parts and parts[0] in self._loose:
            thing = self._loose[parts[0]]
            done = f"{done}.{parts.pop(0)}"
        for part in parts:
            thing = _step(thing, part, done)
            done = f"{done}.{part}"
        observe_tree(self.instrument, self.version)
        return Target(self, thing)

    def replace(self, instrument: InstrumentBase) -> None:
        """Put a newly made instrument into the place of a closed one."""
        self.instrument = instrument
        self.is_closed = False
        self._loose.clear()
        self._loose_names.clear()
        self.version.advance()
        observe_tree(instrument, self.version)


def _step(thing: Any, part: str, done: str) -> Any:
    if isinstance(thing, ChannelTuple):
        if part.isdigit() and int(part) < len(thing):
            return thing[int(part)]
        found = [channel for channel in thing if channel.short_name == part]
        if len(found) == 1:
            return found[0]
    elif isinstance(thing, InstrumentBase):
        for named in (thing.parameters, thing.functions, thing.submodules):
            if part in named:
                return named[part]
    raise UnknownName(f"{done} has no parameter, function or submodule {part!r}; it may have been removed")


def path_of(thing: Any, hosted: Hosted) -> str:
    """Return the path that leads to a part of an instrument."""
    if thing is hosted.instrument:
        return hosted.name
    if isinstance(thing, InstrumentBase):
        return _path_of_module(thing, hosted)
    if isinstance(thing, ParameterBase):
        above, named = thing.instrument, "parameters"
    elif isinstance(thing, ChannelTuple):
        above, named = thing._parent, "submodules"
    else:
        above, named = getattr(thing, "instrument", None), "functions"
    if isinstance(above, InstrumentBase) and above.root_instrument is hosted.instrument:
        for name, part in vars(above).get(named, {}).items():
            if part is thing:
                return f"{path_of(above, hosted)}.{name}"
    return hosted.loose_path(thing)


def _path_of_module(module: InstrumentBase, hosted: Hosted) -> str:
    parent = module.parent
    if parent is None:
        return hosted.loose_path(module)
    for name, submodule in parent.submodules.items():
        if submodule is module:
            return f"{path_of(parent, hosted)}.{name}"
    for name, channels in parent.submodules.items():
        if isinstance(channels, ChannelTuple):
            for index, channel in enumerate(channels):
                if channel is module:
                    return f"{path_of(parent, hosted)}.{name}.{channel_part(channels, index)}"
    return hosted.loose_path(module)


def channel_part(channels: ChannelTuple[Any], index: int) -> str:
    """Return the part of a path that names a channel of a list: its name, or its index where names repeat."""
    return channel_parts(channels)[index]


def channel_parts(channels: ChannelTuple[Any]) -> list[str]:
    """Return the parts of paths that name the channels of a list, in its order; see `channel_part`."""
    names = [str(channel.short_name) for channel in channels]
    counts = Counter(names)
    return [
        name if counts[name] == 1 and not name.isdigit() else str(index) for index, name in enumerate(names)
    ]
