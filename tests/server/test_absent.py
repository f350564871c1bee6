"""Clients whose line went silent."""

from __future__ import annotations

import threading

import pytest

from instrumentserver.server.absent import Absent


class Ended:
    """Hears which sessions have ended."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.has_come = threading.Event()

    def take(self, session: str) -> None:
        self.sessions.append(session)
        self.has_come.set()


@pytest.fixture
def ended() -> Ended:
    return Ended()


def test_a_client_that_closed_its_connections_has_gone_at_once(ended: Ended) -> None:
    Absent(3600, ended.take).left("one", False)
    assert ended.sessions == ["one"]


def test_a_silent_one_has_gone_after_a_time(ended: Ended) -> None:
    absent = Absent(0.05, ended.take)
    absent.left("one", True)
    assert ended.sessions == []
    assert ended.has_come.wait(5)
    assert ended.sessions == ["one"]


def test_one_that_comes_back_has_not_gone_and_goes_at_once_later(ended: Ended) -> None:
    absent = Absent(0.05, ended.take)
    for _ in range(2):
        absent.left("one", True)
        absent.came("one")
    other = Ended()
    Absent(0.2, other.take).left("later", True)
    assert other.has_come.wait(5)
    assert ended.sessions == []
    absent.left("one", False)
    assert ended.sessions == ["one"]


def test_one_that_falls_silent_again_has_the_whole_time_again(ended: Ended) -> None:
    absent = Absent(3600, ended.take)
    absent.left("one", True)
    absent.came("one")
    again = Absent(0.01, ended.take)
    again.left("one", True)
    again.left("one", True)
    assert ended.has_come.wait(5)
    assert ended.sessions == ["one"]


def test_others_are_not_kept_with_it(ended: Ended) -> None:
    absent = Absent(3600, ended.take)
    absent.left("one", True)
    absent.left("two", False)
    assert ended.sessions == ["two"]
    absent.came("one")
