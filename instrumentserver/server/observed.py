"""Containers that tell when they change, so that proxies notice added and removed parts at no cost to a call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, Final

from qcodes.instrument import InstrumentBase

__all__ = ["Version", "observe_tree"]

_numbers: Final = itertools.count(time.time_ns() // 1000)
"""Begins at the time of day, so that no number comes twice, not even on a server started anew."""


class Version:
    """The number of the latest change of one instrument's tree.

    Attributes:
        number: The number.
        on_change: Called after each change, in the thread that made it.
    """

    __slots__ = ("number", "on_change")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.on_change: Callable[[], None] = _nobody_cares

    def advance(self) -> None:
        """Give the tree a number that no tree had before."""
        self.number = next(_numbers)
        self.on_change()


def _nobody_cares() -> None:
    pass


def observe_tree(module: InstrumentBase, version: Version) -> None:
    """Have ``version`` advance whenever a part of ``module`` or below it comes or goes.

    May be called again after a change, to include what has come.
    """
    for name in ("parameters", "functions", "submodules"):
        found = vars(module).get(name)
        if type(found) is dict:
            setattr(module, name, _ObservedDict(found, version))
    for submodule in module.submodules.values():
        if isinstance(submodule, InstrumentBase):
            observe_tree(submodule, version)
            continue
        channels = vars(submodule).get("_channels")
        if type(channels) is list:
            # QCoDeS has no public way to hear of a channel that a list gained.
            submodule._channels = _ObservedList(channels, version)  # type: ignore[assignment]
        for channel in submodule:
            observe_tree(channel, version)


def _advancing(method: Callable[..., Any]) -> Any:
    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            self.version.advance()

    observed.__name__ = method.__name__
    return observed


class _ObservedDict(dict[str, Any]):
    def __init__(self, content: dict[str, Any], version: Version) -> None:
        super().__init__(content)
        self.version = version

    __setitem__ = _advancing(dict.__setitem__)
    __delitem__ = _advancing(dict.__delitem__)
    __ior__ = _advancing(dict.__ior__)
    clear = _advancing(dict.clear)
    pop = _advancing(dict.pop)
    popitem = _advancing(dict.popitem)
    setdefault = _advancing(dict.setdefault)
    update = _advancing(dict.update)


class _ObservedList(list[Any]):
    def __init__(self, content: list[Any], version: Version) -> None:
        super().__init__(content)
        self.version = version

    __setitem__ = _advancing(list.__setitem__)
    __delitem__ = _advancing(list.__delitem__)
    __iadd__ = _advancing(list.__iadd__)
    append = _advancing(list.append)
    clear = _advancing(list.clear)
    extend = _advancing(list.extend)
    insert = _advancing(list.insert)
    pop = _advancing(list.pop)
    remove = _advancing(list.remove)
    reverse = _advancing(list.reverse)
    sort = _advancing(list.sort)
