"""Parameters that are streams: everything that goes into their cache is an event, of the time that the cache has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from qcodes.instrument import Instrument
from qcodes.parameters import DelegateParameter, Parameter
from received import Received

from instrumentserver import Server


class Feed(Instrument):
    """A parameter that is a stream, one that stands for it, and one that is none."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for each in ("stream", "usual"):
            self.add_parameter(each, get_cmd=None, set_cmd=False)
        self.stream.is_stream = True
        self.add_parameter("double", parameter_class=DelegateParameter, source=self.stream, scale=0.5)

    def take(self, name: str, value: float, moment: float | None) -> None:
        """Put a value into the cache of a parameter, with a time."""
        parameter: Parameter = self.parameters[name]
        timestamp = None if moment is None else datetime.fromtimestamp(moment)
        parameter.cache._update_with(value=value, raw_value=value, timestamp=timestamp)


@pytest.fixture
def feed(server: Server) -> Any:
    feed: Any = server.create(Feed, "feed")
    feed.take("stream", 0.0, 1000.0)
    feed.take("usual", 0.0, 1000.0)
    return feed


def test_each_value_of_a_stream_is_an_event_of_its_own_time(feed: Any, received: Received) -> None:
    subscription = feed.stream.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    for moment in (1001.5, 1002.25, 1002.0):
        feed.take("stream", 1.0, moment)
    updates = received.wait_for_number(4)
    assert [(update.value, update.timestamp) for update in updates] == [
        (0.0, 1000.0),
        (1.0, 1001.5),
        (1.0, 1002.25),
        (1.0, 1002.0),
    ]
    assert [update.sequence for update in updates[1:]] == [1, 2, 3]


def test_stream_without_a_time_is_of_now(feed: Any, received: Received) -> None:
    subscription = feed.stream.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    feed.take("stream", 1.0, None)
    (_, update) = received.wait_for_number(2)
    assert update.timestamp > 1_500_000_000


def test_what_stands_for_a_stream_has_its_times(feed: Any, received: Received) -> None:
    subscription = feed.double.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    feed.take("stream", 1.0, 1001.0)
    feed.take("stream", 1.0, 1002.0)
    updates = received.wait_for_number(3)
    assert [(update.value, update.timestamp) for update in updates[1:]] == [(2.0, 1001.0), (2.0, 1002.0)]


def test_of_what_is_no_stream_the_same_value_is_no_event(feed: Any, received: Received) -> None:
    subscription = feed.usual.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    for value in (1.0, 1.0, 2.0):
        feed.take("usual", value, 1001.0)
    updates = received.wait_for_value(2.0)
    assert [update.value for update in updates] == [0.0, 1.0, 2.0]
    assert updates[-1].timestamp > 1_500_000_000
