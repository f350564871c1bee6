"""Functions that are subscribed get points in order; slow and raising ones hurt nobody."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from instrumentserver.errors import ClientLost, UsageError
from instrumentserver.sockets import LivePoint, LiveSubscription


def points(*numbers: int, host: str = "pc", codename: str = "a") -> list[LivePoint]:
    return [LivePoint(host, codename, number, number, 0.0) for number in numbers]


def subscribed(
    function, host=None, codename=None, queue=1000, end=lambda subscription: None
) -> LiveSubscription:
    return LiveSubscription(function, host, codename, queue, end)


def test_points_come_in_order() -> None:
    came: Queue[LivePoint] = Queue()
    with subscribed(came.put) as subscription:
        subscription.offer(points(1, 2))
        subscription.offer(points(3))
        assert [came.get(timeout=10).y for _ in range(3)] == [1, 2, 3]
        assert subscription.dropped == 0


@pytest.mark.parametrize(
    ("host", "codename", "expected"),
    [(None, None, [1, 2, 3]), ("pc", None, [1, 2]), (None, "a", [1, 3]), ("pc", "a", [1]), ("pc", "c", [])],
)
def test_only_points_of_interest_come(host: str | None, codename: str | None, expected: list[int]) -> None:
    came: Queue[LivePoint] = Queue()
    offered = [*points(1), *points(2, codename="b"), *points(3, host="other")]
    with subscribed(came.put, host, codename) as subscription:
        subscription.offer(offered)
        assert [came.get(timeout=10).y for _ in expected] == expected
    assert came.empty()


def test_of_a_slow_function_the_oldest_points_are_dropped_and_counted() -> None:
    is_called, may_go_on = threading.Event(), threading.Event()
    came: Queue[int] = Queue()

    def slow(point: LivePoint) -> None:
        is_called.set()
        assert may_go_on.wait(20)
        came.put(point.y)

    with subscribed(slow, queue=3) as subscription:
        subscription.offer(points(0))
        assert is_called.wait(10)
        subscription.offer(points(1, 2))
        assert subscription.dropped == 0
        subscription.offer(points(3, 4))
        assert subscription.dropped == 1
        subscription.offer(points(*range(5, 15)))
        assert subscription.dropped == 11
        may_go_on.set()
        assert [came.get(timeout=10) for _ in range(4)] == [0, 12, 13, 14]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_the_function_raises_is_logged_and_the_next_point_comes(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    came: Queue[int] = Queue()

    def raising(point: LivePoint) -> None:
        if point.y != 4:
            raise error("no")
        came.put(point.y)

    with subscribed(raising) as subscription:
        subscription.offer(points(1, 2, 3, 4))
        assert came.get(timeout=10) == 4
        assert subscription.failed == 3
    assert caplog.text.count("failed with LivePoint(") == 1
    assert "x=1" in caplog.text


def test_function_of_a_client_that_has_gone_ends_the_subscription() -> None:
    ended: Queue[LiveSubscription] = Queue()

    def lost(point: LivePoint) -> None:
        raise ClientLost("the client has gone")

    subscription = subscribed(lost, end=ended.put)
    subscription.offer(points(1))
    assert ended.get(timeout=10) is subscription
    subscription.close()
    assert ended.empty()


def test_nothing_comes_after_close() -> None:
    came: Queue[LivePoint] = Queue()
    subscription = subscribed(came.put)
    subscription.close()
    subscription.offer(points(1))
    subscription.close()
    assert came.empty()


def test_function_may_close_its_own_subscription() -> None:
    came: Queue[int] = Queue()

    def once(point: LivePoint) -> None:
        subscription.close()
        came.put(point.y)

    subscription = subscribed(once)
    subscription.offer(points(1, 2))
    assert came.get(timeout=10) == 1
    subscription.close()
    assert came.empty()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        subscribed(5)
    with pytest.raises(UsageError, match="queue of 0 points"):
        subscribed(print, queue=0)
