"""An SDK whose calls last until they are told to end, and count how many are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_gate = threading.Event()
_count = threading.Condition()
_now = [0]
_most = [0]


class Slow:
    """Something that takes its time."""

    def __init__(self, above: Slow | None = None) -> None:
        self._above = above
        self.label = "slow"

    def work(self) -> int:
        """Return the largest number of calls under way at the same time, when the gate is open."""
        with _count:
            _now[0] += 1
            _most[0] = max(_most[0], _now[0])
            _count.notify_all()
        _gate.wait(10)
        with _count:
            _now[0] -= 1
        return _most[0]

    def part(self) -> Slow:
        """Return an object that came from this one."""
        return Slow(self)

    def use(self, other: Any, method: str = "work") -> Any:
        """Call a method of another object."""
        return getattr(other, method)()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function."""
        return function(*args)

    def name(self) -> str:
        """Return a name."""
        return self.label


class Back:
    """Calls another object."""

    def __init__(self, other: Any) -> None:
        self._other = other

    def name(self) -> str:
        """Return the name of the other one."""
        return str(self._other.name())


def begin() -> None:
    """Close the gate and count anew."""
    _gate.clear()
    _now[0] = _most[0] = 0


def open_gate() -> None:
    """Have all calls end."""
    _gate.set()


def under_way(count: int) -> int:
    """Return how many calls are under way, as soon as there are so many, or after a while."""
    with _count:
        _count.wait_for(lambda: _now[0] >= count, 5)
        return _now[0]


def refuse_setting(client: Any, call: Any) -> None:
    """Refuse what sets delays."""
    if (call.member == "setDelay" and call.args[0] > 1) or (call.member == "delay" and call.args):
        raise PermissionError(f"{client.user} (pid {client.pid}, {client.role}) may not {call}")
