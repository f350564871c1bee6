import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from instruments.random_walk import LARGEST_STEP, RandomWalk

PATIENCE = 10.0


class Steps:
    """Collects the values that a parameter's cache is given; any thread may wait for more."""

    def __init__(self, walk: RandomWalk) -> None:
        self.values: list[float] = []
        self.times: list[float] = []
        self._news = threading.Condition()
        update: Any = walk.x.cache._update_with

        def watched(*, value: float, **kwargs: Any) -> None:
            update(value=value, **kwargs)
            with self._news:
                self.values.append(value)
                self.times.append(time.monotonic())
                self._news.notify_all()

        walk.x.cache._update_with = watched  # type: ignore[assignment, method-assign]

    def wait_for(self, number: int) -> list[float]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.values) >= number, PATIENCE)
            return list(self.values)


@pytest.fixture
def walk() -> Iterator[RandomWalk]:
    instrument = RandomWalk("walk", dt=3600, seed=1)
    yield instrument
    instrument.close()


def test_it_stands_at_zero_before_its_first_step(walk: RandomWalk) -> None:
    assert (walk.x(), walk.dt()) == (0.0, 3600)


def test_it_takes_steps_of_at_most_the_largest_by_itself(walk: RandomWalk) -> None:
    steps = Steps(walk)
    walk.dt(0.001)
    values = steps.wait_for(20)
    differences = [abs(after - before) for before, after in itertools.pairwise(values)]
    assert 0 < max(differences) <= LARGEST_STEP


def test_a_shorter_time_counts_at_once(walk: RandomWalk) -> None:
    steps = Steps(walk)
    begin = time.monotonic()
    walk.dt(0.001)
    steps.wait_for(1)
    assert steps.times[0] - begin < PATIENCE


def test_it_walks_on_from_where_it_is_put(walk: RandomWalk) -> None:
    walk.x(1000.0)
    steps = Steps(walk)
    walk.dt(0.001)
    assert abs(steps.wait_for(1)[0] - 1000) <= LARGEST_STEP


def test_the_same_seed_walks_the_same_way() -> None:
    ways = []
    for name in ("first", "second"):
        walk = RandomWalk(name, dt=3600, seed=5)
        steps = Steps(walk)
        walk.dt(0.001)
        ways.append(steps.wait_for(5)[:5])
        walk.close()
    assert ways[0] == ways[1]


def test_close_ends_its_thread(walk: RandomWalk) -> None:
    threads = [thread for thread in threading.enumerate() if thread.name == "walk walks"]
    assert len(threads) == 1
    walk.close()
    assert not threads[0].is_alive()


@pytest.mark.parametrize("dt", [0, -1, 1e6])
def test_a_time_between_steps_that_cannot_be_is_refused(walk: RandomWalk, dt: float) -> None:
    with pytest.raises(ValueError, match="must be between"):
        walk.dt(dt)
    with pytest.raises(ValueError, match="must be between"):
        RandomWalk("other", dt=dt)


def test_it_says_what_it_is(walk: RandomWalk) -> None:
    assert walk.IDN()["model"] == "RandomWalk"
    assert (walk.dt.unit, walk.x.label) == ("s", "Position")
