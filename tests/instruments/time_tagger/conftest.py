"""A simulated Time Tagger whose time is stepped, with a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from instruments import time_tagger as TT
from instruments.time_tagger import simulation
from instruments.time_tagger.simulation import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    simulation.reset()
    bench = simulation.bench()
    bench.use_stepped_clock()
    bench.seed = 7
    yield bench
    simulation.reset()


@pytest.fixture
def tagger(bench: Bench) -> TT.TimeTagger:
    return TT.createTimeTagger()
