"""An SDK whose objects say when they come and go."""

from __future__ import annotations

import threading
from typing import Any

_ended: list[str] = []
_gate = threading.Event()
_kept: list[Any] = []


class Thing:
    """Something with a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._total = 0
        self._lock = threading.Lock()

    def name(self) -> str:
        """Return the name."""
        return self._name

    def itself(self) -> Thing:
        """Return the same object."""
        return self

    def nested(self) -> Any:
        """Return the same object, inside other things."""
        return ([{"it": self}, {"it": self}], 5)

    def count(self, number: int) -> None:
        """Add to the total."""
        with self._lock:
            self._total += number

    def total(self) -> int:
        """Return the total."""
        return self._total

    def __del__(self) -> None:
        if hasattr(self, "_name"):
            _ended.append(self._name)


class Part:
    """Something made of a thing."""

    def __init__(self, thing: Thing) -> None:
        self._thing = thing

    def add(self, number: int) -> int:
        """Add to the total of the thing."""
        self._thing.count(number)
        return number

    def thing(self) -> Thing:
        """Return the thing."""
        return self._thing


def things(count: int) -> list[Thing]:
    """Return many things."""
    return [Thing(str(number)) for number in range(count)]


def begin() -> None:
    """Forget what has ended."""
    _ended.clear()


def ended() -> list[str]:
    """Return the names of the things that Python has ended."""
    return list(_ended)


def names(*values: Any, **named: Any) -> Any:
    """Return what came, each thing as its name."""
    return [*(_named(list(value)) for value in values), _named(named)]


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _named(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_named(part) for part in value]
    return value.name()


def is_same(one: object, other: object) -> bool:
    """Return whether two are one."""
    return one is other


def keep(thing: Any) -> None:
    """Keep a thing, or none."""
    _kept[:] = [] if thing is None else [thing]


def kept() -> Any:
    """Return what is kept."""
    return _kept[0]


def close_gate() -> None:
    """Have `behind_gate` wait."""
    _gate.clear()


def open_gate() -> None:
    """Have `behind_gate` go on."""
    _gate.set()


def behind_gate(thing: Thing) -> Any:
    """Return objects once the gate is open."""
    _gate.wait(10)
    return [Thing("late"), {"x": Thing("late")}, thing]
