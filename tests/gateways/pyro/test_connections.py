"""Every connection has a thread of its own, and there is no limit to them but the system's."""

from __future__ import annotations

import threading
from typing import Any

from received import eventually

from instrumentserver.gateways.pyro.connections import Connections


class Job:
    """A connection that lasts until its socket is closed."""

    def __init__(self, meeting: threading.Barrier | None = None) -> None:
        self.csock: Any = self
        self.is_closed = threading.Event()
        self._meeting = meeting

    def __call__(self) -> None:
        if self._meeting is not None:
            self._meeting.wait(10)
        self.is_closed.wait(10)

    def close(self) -> None:
        self.is_closed.set()


def test_more_are_served_at_the_same_time_than_pyro_has_threads() -> None:
    connections = Connections()
    meeting = threading.Barrier(121)
    for _ in range(120):
        connections.process(Job(meeting))
    meeting.wait(10)
    assert len(connections) == connections.num_workers() == 120
    connections.close()
    eventually(lambda: len(connections) == 0)


def test_what_comes_after_the_end_is_closed_at_once() -> None:
    connections = Connections()
    connections.close()
    late = Job()
    connections.process(late)
    assert late.is_closed.is_set()
    assert len(connections) == 0
