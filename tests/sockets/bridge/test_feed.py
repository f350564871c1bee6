"""Feeds: which of an event and a reading counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from instrumentserver.client import Update
from instrumentserver.sockets.bridge.feed import Feed
from instrumentserver.sockets.bridge.troubles import Troubles


class Told:
    """Stands for a subscription."""

    is_connected = True

    def __init__(self) -> None:
        self.callbacks: list[Callable[..., None]] = []
        self.is_closed = False

    def add_callback(self, function: Callable[..., None]) -> None:
        self.callbacks.append(function)

    def add_state_callback(self, function: Callable[..., None]) -> None:
        function(self, "connected", "")

    def close(self) -> None:
        self.is_closed = True

    def tell(self, value: Any, timestamp: float, failure: str | None = None) -> None:
        for function in self.callbacks:
            function(Update(value, timestamp, 0, 0, failure))


class Slow:
    """Stands for a remote parameter, whose reading begins and ends when the test says so."""

    def __init__(self) -> None:
        self.told = Told()
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def subscribe(self) -> Told:
        return self.told

    def get(self) -> Any:
        self.has_begun.set()
        assert self.may_end.wait(20)
        return "read"


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def shown() -> list[Any]:
    return []


@pytest.fixture
def feed(slow: Slow, shown: list[Any]) -> Feed:
    show = lambda codename, point: shown.append((codename, *point))  # noqa: E731
    feed = Feed("a", slow, show, Troubles("test"), is_polled=True)  # type: ignore[arg-type]
    feed.start()
    return feed


def test_reading_counts_if_no_event_came_meanwhile(feed: Feed, slow: Slow, shown: list[Any]) -> None:
    slow.told.tell("event", 5.0)
    slow.may_end.set()
    feed.read()
    assert shown[0] == ("a", 5.0, "event")
    assert shown[1][0] == "a"
    assert shown[1][2] == "read"


def test_event_that_came_meanwhile_counts(feed: Feed, slow: Slow, shown: list[Any]) -> None:
    reader = threading.Thread(target=feed.read)
    reader.start()
    assert slow.has_begun.wait(20)
    slow.told.tell("event", 5.0)
    slow.may_end.set()
    reader.join(20)
    assert shown == [("a", 5.0, "event")]


def test_event_that_tells_of_a_failure_is_no_value(feed: Feed, slow: Slow, shown: list[Any]) -> None:
    slow.told.tell("latest good one", 5.0, "it failed")
    assert shown == []


def test_nothing_is_shown_after_the_stop(feed: Feed, slow: Slow, shown: list[Any]) -> None:
    feed.stop()
    assert slow.told.is_closed
    slow.told.tell("event", 5.0)
    slow.may_end.set()
    feed.read()
    assert shown == []
