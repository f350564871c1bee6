"""Measuring with threads: in parallel across instruments, the same stored, errors where they belong."""

from __future__ import annotations

import statistics
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Channels, Meeting, Meter, Source
from qcodes.dataset import (
    LinSweep,
    SequentialParamsCaller,
    ThreadPoolParamsCaller,
    call_params_threaded,
    dond,
    load_by_id,
)
from qcodes.dataset.threading import process_params_meas
from qcodes.utils import RespondingThread, thread_map

from instrumentserver import InstrumentServerError, connect

pytestmark = pytest.mark.slow

SLOW = 0.05
"""Time that a slow reading takes, seconds."""


def test_threads_store_the_same_run(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        other = bench.make(Meter, "other", source, server="three")
        rack = bench.make(Channels, "rack", server="two")
        return dond(
            LinSweep(source.v1, 0, 1, 4),
            LinSweep(source.v2, -1, 1, 3),
            meter.i,
            other.j,
            source.millivolt,
            rack.A.dummy_parameter_with_setpoints,
            use_threads=True,
        )

    assert len(alike(measure)[0]["stored"]) == 4


def test_threads_beside_setters_of_the_same_server(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        # All on one server: the meter asks the source, while another thread reads the source itself.
        meter, other = bench.make(Meter, "meter", source), bench.make(Meter, "other", source)
        return dond(LinSweep(source.v1, 0, 1, 20), source.v3, meter.i, other.j, use_threads=True)

    assert alike(measure)[0]["stored"]["other_j"]["other_j"][-1] == 2e-3


def time_a_point(source: Any, *parameters: Any, use_threads: bool) -> float:
    """Return how long a point of a measurement took, seconds, the median of ten."""
    times: list[float] = []
    sweep = LinSweep(source.v1, 0, 1, 11, post_actions=[lambda: times.append(time.perf_counter())])
    dond(sweep, *parameters, use_threads=use_threads)
    return statistics.median(after - before for before, after in pairwise(times))


@pytest.mark.benchmark
@pytest.mark.parametrize("servers", [("two", "three"), ("two", "two")], ids=["two servers", "one server"])
def test_two_slow_getters_take_the_time_of_one(bench: Bench, servers: tuple[str, str]) -> None:
    source = bench.make(Source, "source")
    readings = [
        bench.make(Meter, name, None, SLOW, server=server).i
        for name, server in zip(("left", "right"), servers, strict=True)
    ]
    assert time_a_point(source, *readings, use_threads=True) < 0.060


def test_without_threads_slow_getters_take_turns(bench: Bench) -> None:
    source = bench.make(Source, "source")
    readings = [bench.make(Meter, name, None, SLOW).i for name in ("left", "right")]
    assert time_a_point(source, *readings, use_threads=False) >= 2 * SLOW


def test_getters_in_threads_meet(bench: Bench) -> None:
    left, right = (
        bench.make(Meeting, name, str(bench.folder), other, server=name)
        for name, other in (("left", "right"), ("right", "left"))
    )
    # Each of them returns once the other has begun.
    assert sorted(value for _, value in call_params_threaded([left.meet, right.meet])) == ["left", "right"]


def test_a_getter_that_fails_ends_the_measurement_and_nothing_else(bench: Bench) -> None:
    source = bench.make(Source, "source")
    meter = bench.make(Meter, "meter", source, server="two")
    broken = bench.make(Meter, "broken", source, server="three")
    with pytest.raises(RuntimeError, match="the meter has melted"):
        dond(LinSweep(source.v1, 0, 1, 9), meter.i, broken.fragile, use_threads=True)
    dataset = load_by_id(1)
    assert dataset.completed
    assert dataset.get_parameter_data()["meter_i"]["meter_i"].tolist() == [0.0, 0.125e-3]
    source.v1(4.0)
    assert [meter.i(), broken.i()] == [4e-3, 4e-3]


@pytest.mark.parametrize("caller", [ThreadPoolParamsCaller, SequentialParamsCaller])
def test_callers_return_what_was_read(alike: Alike, caller: Any) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        source.v1(2.0)
        with caller(source.v1, meter.i, source.millivolt, meter.j) as call:
            return sorted((parameter.full_name, value) for parameter, value in call())

    assert alike(measure, stores=False)[0] == ["meter_i", 2e-3]


def test_functions_for_threads(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        parameters = [source.v1, meter.i, source.v2, meter.j]
        thread = RespondingThread(target=meter.i.get)
        thread.start()
        return (
            [(parameter.full_name, value) for parameter, value in call_params_threaded(parameters)],
            [value for _, value in process_params_meas(parameters, use_threads=True)],
            thread_map([parameter.get for parameter in parameters]),
            thread.output(timeout=10),
        )

    assert alike(measure, stores=False)[2] == [0.0] * 4


def test_parameters_are_grouped_by_the_instrument_that_they_act_on(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        rack = bench.make(Channels, "rack")
        parameters = (source.v1, source.millivolt, meter.i, rack.A.temperature, rack.channels[2].temperature)
        return [parameter.underlying_instrument.full_name for parameter in parameters]

    assert alike(measure, stores=False) == ["source", "source", "meter", "rack", "rack"]


def test_many_threads_measure_at_the_same_time(bench: Bench) -> None:
    source = bench.make(Source, "source")
    meters = [bench.make(Meter, f"meter{number}", source, server="two") for number in range(4)]
    wrong: list[Any] = []

    def read(meter: Any) -> None:
        for _ in range(50):
            if (meter.i(), meter.j()) != (1e-3, 2e-3):
                wrong.append(meter)

    source.v1(1.0)
    threads = [threading.Thread(target=read, args=(meter,)) for meter in meters * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def test_getters_that_ask_one_another_at_the_same_time_end(bench: Bench) -> None:
    folder = str(bench.folder)
    left = bench.make(Meeting, "left", folder, "right", server="left")
    right = bench.make(Meeting, "right", folder, "left", left, server="right")
    left.befriend(right)
    ended = threading.Event()
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.extend(call_params_threaded([left.chat, right.chat]))
        except InstrumentServerError as error:
            outcome.append(error)
        ended.set()

    threading.Thread(target=call, daemon=True).start()
    try:
        # Each holds its own instrument and asks for the other: both answer, or one is refused.
        assert ended.wait(15)
    finally:
        if not ended.is_set():
            connect("left").kill()
            connect("right").kill()
    assert outcome
