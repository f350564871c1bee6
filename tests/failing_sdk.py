"""An SDK whose exceptions are as odd as native ones are."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from typing import Any


class Kept:
    """Something that stays on the server."""

    def name(self) -> str:
        """Return a name."""
        return "kept"


class Plain(Exception):
    """An error as most are."""


class Derived(ValueError):
    """An error below one of Python's own."""


class NeedsMore(Exception):
    """An error whose constructor takes other arguments than it hands on."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"error {code} at {where}")
        self.code = code


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no assignments."""

    code: int


class NoArgs(Exception):
    """An error whose arguments cannot be read."""

    @property
    def args(self) -> Any:
        raise RuntimeError("no arguments")


class NoDict(Exception):
    """An error whose dictionary cannot be read."""

    @property
    def __dict__(self) -> Any:
        raise RuntimeError("no dictionary")


class NoText(Exception):
    """An error without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoAttributes(Exception):
    """An error of which nothing can be read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("nothing")


class NoSetting(Exception):
    """An error to which nothing can be assigned."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError("nothing")


class Holding(Exception):
    """An error that holds what stays on the server."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Kept(), sys, lambda: None)
        self.thing = Kept()
        self.parts = [Kept()]


class Status(enum.IntEnum):
    """What a driver returns."""

    BROKEN = 3


class WithEnum(Exception):
    """An error that holds an enum."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Status.BROKEN)


Native = type("Native", (RuntimeError,), {"__module__": "no.such.module"})
"""As classes of native libraries are: of a module that nobody has imported."""
Ends = SystemExit
Interrupts = KeyboardInterrupt
Group = ExceptionGroup


def fail(name: str, text: str = "it broke") -> None:
    """Raise an error of a class."""
    cls = globals()[name]
    if cls is NeedsMore:
        raise NeedsMore(5, where=text)
    if cls is Group:
        raise Group(text, [Holding("one"), Native("two")])
    raise cls(7 if cls is Frozen else text)


def fail_deeply(depth: int) -> None:
    """Raise an error of an error of an error."""
    try:
        if depth:
            fail_deeply(depth - 1)
    except Plain as error:
        raise Holding("deeper") from error
    except Holding as error:
        raise Plain("deepest") from error
    raise Plain("first")


def keep() -> Kept:
    """Return something that stays on the server."""
    return Kept()


class Broken:
    """An object of which everything fails."""

    def __repr__(self) -> str:
        raise NoText("repr")

    def __len__(self) -> int:
        raise Native("len")

    def __eq__(self, other: object) -> bool:
        raise Native("eq")

    def __hash__(self) -> int:
        raise Native("hash")

    def __bool__(self) -> bool:
        raise Native("bool")

    def __getattr__(self, name: str) -> Any:
        raise Native(name)

    @property
    def value(self) -> int:
        """Fail."""
        raise Frozen(3)


def broken() -> Any:
    """Return an object of which everything fails, also inside other things."""
    return [Broken()]
