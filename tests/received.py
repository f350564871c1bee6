"""What a subscription delivers, collected; any thread may wait for more."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from instrumentserver import Server, list_servers

__all__ = ["Received", "States", "eventually", "leave_alone"]

PATIENCE = 20.0
"""How long to wait for what must come, seconds."""


class Received:
    """Collects updates, which its method `take` is given.

    Attributes:
        updates: All of them, in order.
        threads: Names of the threads that brought them.
    """

    def __init__(self) -> None:
        self.updates: list[Any] = []
        self.threads: set[str] = set()
        self._news = threading.Condition()

    def take(self, update: Any) -> None:
        """Be called back."""
        with self._news:
            self.updates.append(update)
            self.threads.add(threading.current_thread().name)
            self._news.notify_all()

    @property
    def values(self) -> list[Any]:
        """The values so far."""
        return [update.value for update in self.updates]

    @property
    def events(self) -> int:
        """How many events there were: those that arrived, and those that were dropped."""
        return sum(1 + update.dropped for update in self.updates)

    def wait(self, is_enough: Callable[[], bool], timeout: float = PATIENCE) -> list[Any]:
        """Wait until something holds and return the updates.

        Raises:
            TimeoutError: It does not within ``timeout`` s.
        """
        with self._news:
            if not self._news.wait_for(is_enough, timeout):
                shown = [str(update)[:100] for update in self.updates[-10:]]
                raise TimeoutError(f"not within {timeout} s; {len(self.updates)} updates, the last: {shown}")
            return list(self.updates)

    def wait_for_number(self, number: int, timeout: float = PATIENCE) -> list[Any]:
        """Wait for ``number`` updates."""
        return self.wait(lambda: len(self.updates) >= number, timeout)

    def wait_for_value(self, value: Any, timeout: float = PATIENCE) -> list[Any]:
        """Wait for an update with a value to be the last one."""
        return self.wait(lambda: bool(self.updates) and _is_equal(self.updates[-1].value, value), timeout)

    def wait_for(self, is_it: Callable[[Any], bool], timeout: float = PATIENCE) -> Any:
        """Wait for an update of which something holds, and return the first such."""
        found: list[Any] = []

        def has_come() -> bool:
            found[:] = [update for update in self.updates if is_it(update)]
            return bool(found)

        self.wait(has_come, timeout)
        return found[0]


class States(Received):
    """Collects the states of a connection; a callback of its own for each.

    Attributes:
        updates: Pairs of state and reason, in order.
        times: When they came, s of the monotonic clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def turn(self, subscription: Any, state: str, reason: str) -> None:
        """Be called back."""
        self.times.append(time.monotonic())
        self.take((state, reason))

    @property
    def states(self) -> list[str]:
        """The states so far."""
        return [state for state, _ in self.updates]

    @property
    def reasons(self) -> list[str]:
        """The reasons so far."""
        return [reason for _, reason in self.updates]

    def wait_for_states(self, *states: str, timeout: float = PATIENCE) -> None:
        """Wait until the states so far end with these."""
        self.wait(lambda: self.states[-len(states) :] == list(states), timeout)


def _is_equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def eventually(holds: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Wait until something holds of which no event tells.

    Raises:
        TimeoutError: It does not within ``timeout`` s.
    """
    pause = threading.Event()
    give_up = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {timeout} s")
        pause.wait(0.003)


def leave_alone(home: Server) -> Iterator[None]:
    """Yield while a test uses a server that others use, too; leave it without instruments, and stop all others."""
    if home.status()["watched"]:
        # Callbacks live as long as anybody holds them: those of the test before, too.
        gc.collect()
        eventually(lambda: not home.status()["watched"], 5)
    yield
    for server in list_servers():
        if server != home:
            server.stop()
    for instrument in home.instruments.values():
        instrument.close()
