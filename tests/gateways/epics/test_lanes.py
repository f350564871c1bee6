"""Lanes: in order for one name, side by side for different ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from instrumentserver.gateways.epics.lanes import Lanes


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    """Return lanes."""
    lanes = Lanes()
    yield lanes
    lanes.close()


def test_tasks_of_one_name_run_in_order(lanes: Lanes) -> None:
    done: list[int] = []
    ended = threading.Event()
    for number in range(100):
        lanes.submit("a", lambda number=number: done.append(number))  # type: ignore[misc]
    lanes.submit("a", ended.set)
    assert ended.wait(5)
    assert done == list(range(100))


def test_slow_task_delays_no_other_name(lanes: Lanes) -> None:
    gate, waits = threading.Event(), threading.Event()
    lanes.submit("slow", lambda: bool(waits.set()) or bool(gate.wait(5)))
    assert waits.wait(5)
    for name in ("b", "c", "d"):
        quick = threading.Event()
        lanes.submit(name, quick.set)
        assert quick.wait(5)
    behind = threading.Event()
    lanes.submit("slow", behind.set)
    assert not behind.wait(0.05)
    gate.set()
    assert behind.wait(5)


def test_task_that_fails_holds_up_nobody(lanes: Lanes, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    lanes.submit("a", lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    lanes.submit("a", ended.set)
    assert ended.wait(5)
    assert "work for a failed" in caplog.text


def test_later_tasks_come_in_the_order_of_their_times(lanes: Lanes) -> None:
    done: list[str] = []
    ended = threading.Event()
    lanes.submit_later(0.06, "a", lambda: bool(done.append("late")) or ended.set())
    lanes.submit_later(0.03, "a", lambda: done.append("early"))
    lanes.submit("a", lambda: done.append("now"))
    assert ended.wait(5)
    assert done == ["now", "early", "late"]


def test_tasks_that_can_wait_go_last(lanes: Lanes) -> None:
    done: list[str] = []
    gate, ended = threading.Event(), threading.Event()
    lanes.submit("a", lambda: bool(gate.wait(5)))
    lanes.submit("a", lambda: done.append("patient"), can_wait=True)
    lanes.submit("a", lambda: bool(done.append("last")) or ended.set(), can_wait=True)
    lanes.submit("a", lambda: done.append("urgent"))
    gate.set()
    assert ended.wait(5)
    assert done == ["urgent", "patient", "last"]


def test_nothing_begins_after_the_end() -> None:
    lanes = Lanes()
    lanes.close()
    begun = threading.Event()
    lanes.submit("a", begun.set)
    lanes.submit_later(0, "a", begun.set)
    assert not begun.wait(0.05)
