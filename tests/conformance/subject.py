"""An instrument that is looked at, and the ways through its tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from conformance.cases import Case
from conformance.plain import kind, plain
from qcodes.instrument import ChannelTuple, Instrument, InstrumentBase
from qcodes.parameters import Function, ParameterBase

__all__ = ["Looks", "Subject"]

Looks = Iterator[tuple[str, Any]]
"""What was looked at, such as ``ch1.v.unit``, and what was seen, as plain data."""


@dataclass(frozen=True)
class Subject:
    """An instrument that is looked at.

    Attributes:
        case: What is known of it.
        instrument: Local or remote.
    """

    case: Case
    instrument: Instrument

    def modules(self) -> Iterator[tuple[str, InstrumentBase]]:
        """Yield every module once, with its path below the instrument, which ends with a dot."""
        seen: set[int] = set()

        def walk(path: str, module: InstrumentBase) -> Iterator[tuple[str, InstrumentBase]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield path, module
            for name, below in module.submodules.items():
                if isinstance(below, ChannelTuple):
                    for index, channel in enumerate(below):
                        yield from walk(f"{path}{name}[{index}].", channel)
                else:
                    yield from walk(f"{path}{name}.", below)

        yield from walk("", self.instrument)

    def parameters(self) -> Iterator[tuple[str, ParameterBase]]:
        """Yield every parameter, with its path."""
        for path, module in self.modules():
            for name, parameter in module.parameters.items():
                yield f"{path}{name}", parameter

    def answering(self) -> Iterator[tuple[str, ParameterBase]]:
        """Yield every parameter that may be read, with its path."""
        for path, parameter in self.parameters():
            if not is_one_of(parameter.short_name, self.case.silent):
                yield path, parameter

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Yield every QCoDeS function, with its path."""
        for path, module in self.modules():
            for name, function in module.functions.items():
                yield f"{path}{name}", function

    def channel_lists(self) -> Iterator[tuple[str, ChannelTuple[Any]]]:
        """Yield every channel list, with its path."""
        for path, module in self.modules():
            for name, found in module.submodules.items():
                if isinstance(found, ChannelTuple):
                    yield f"{path}{name}", found

    def is_random(self, name: str) -> bool:
        """Return whether a parameter of that name has a different value each time."""
        return is_one_of(name, self.case.random)

    def shown(self, name: str) -> Callable[[Any], Any]:
        """Return what makes plain data of the value of a parameter of that name."""
        return kind if self.is_random(name) else plain


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a name fits one of some shell patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)
