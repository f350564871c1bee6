"""What QCoDeS's parameters offer beside get and set: sweeps, increments, values for the time of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Source
from qcodes.parameters import Parameter, SweepFixedValues

pytestmark = pytest.mark.slow


def on_a_source(alike: Alike, act: Callable[[Any], Any]) -> Any:
    """Return what ``act`` did to a source, and what was set meanwhile, after comparing."""

    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        source.v1(1.0)
        source.forget()
        return act(source), source.history

    return alike(measure, stores=False)


def refusal(act: Callable[[], Any]) -> str:
    """Return the error that ``act`` raises."""
    with pytest.raises(Exception) as raised:
        act()
    return f"{type(raised.value).__name__}: {raised.value}"


def test_values_to_sweep_over(alike: Alike) -> None:
    def act(source: Any) -> Any:
        values = [
            source.v1.sweep(0, 1, num=5),
            source.v1.sweep(1, 0, step=0.25),
            source.v1[0:1:0.25],
            source.v1[1, 2, 3],
            source.v1[0:1:0.5] + source.v1[4:5:0.5],
            reversed(source.v1[0:1:0.5]),
            source.v1[0:1:0.5, 2:3:0.5],
            source.v1[np.arange(3)],
            SweepFixedValues(source.v1, [1, 2]),
        ]
        assert all(each.parameter is source.v1 for each in values)
        return [(list(each), each.snapshot()) for each in values]

    assert on_a_source(alike, act)[0][0][0] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_sweeping_sets_the_hardware(alike: Alike) -> None:
    def act(source: Any) -> Any:
        sweep = source.v1[0:1:0.5]
        sweep.extend(source.v1[2:3:0.5])
        sweep.append(4.0)
        for volts in sweep:
            sweep.set(volts)
        return source.v1()

    assert on_a_source(alike, act) == [4.0, [["v1", volts] for volts in (0.0, 0.5, 2.0, 2.5, 4.0)]]


def test_sweeps_beyond_the_limits_are_refused(alike: Alike) -> None:
    def act(source: Any) -> Any:
        return [
            refusal(lambda: source.v1[0:100:10]),
            refusal(lambda: source.v1.sweep(0, 50, num=3)),
            refusal(lambda: source.v1[0:1]),
            refusal(lambda: source.v1.sweep(0, 1)),
            refusal(lambda: source.v1[0:1:0.5].extend(source.v2[0:1:0.5])),
        ]

    refused, history = on_a_source(alike, act)
    assert "must be between -10 and 10 inclusive; Parameter: source.v1" in refused[0]
    assert history == []


def test_increments(alike: Alike) -> None:
    def act(source: Any) -> Any:
        source.v1.increment(0.5)
        source.count.increment(-2)
        return source.v1(), source.count()

    assert on_a_source(alike, act) == [[1.5, 1], [["v1", 1.5]]]


def test_a_value_for_the_time_of_a_block(alike: Alike) -> None:
    def act(source: Any) -> Any:
        with source.v1.set_to(2.0):
            within = source.v1(), source.v1.settable, refusal(lambda: source.v1(3.0))
        with source.v1.set_to(2.0, allow_changes=True):
            source.v1(5.0)
        return within, source.v1(), source.v1.settable

    (within, after, settable), history = on_a_source(alike, act)
    assert within[:2] == [2.0, False]
    assert (after, settable) == (1.0, True)
    assert history == [["v1", volts] for volts in (2.0, 1.0, 2.0, 5.0, 1.0)]


def test_a_value_that_is_there_already_is_not_set_again(alike: Alike) -> None:
    def act(source: Any) -> Any:
        with source.v1.set_to(1.0):
            return source.v1()

    assert on_a_source(alike, act) == [1.0, []]


def test_what_is_restored_after_a_block(alike: Alike) -> None:
    def act(source: Any) -> Any:
        with source.v1.restore_at_exit():
            source.v1(7.0)
        with pytest.raises(ZeroDivisionError), source.v1.restore_at_exit():
            source.v1(8.0)
            raise ZeroDivisionError
        with source.v1.restore_at_exit(allow_changes=False):
            return source.v1(), refusal(lambda: source.v1(7.0))

    assert on_a_source(alike, act)[0][0] == 1.0


def test_blocks_of_a_delegate_on_the_server(alike: Alike) -> None:
    def act(source: Any) -> Any:
        with source.millivolt.set_to(250.0):
            within = source.millivolt(), source.v1(), refusal(lambda: source.millivolt(3.0))
        return within, source.millivolt(), source.v1()

    (within, millivolts, volts), _ = on_a_source(alike, act)
    assert (within[:2], millivolts, volts) == ([250.0, 0.25], 1000.0, 1.0)


def test_a_parameter_that_was_never_set(alike: Alike) -> None:
    def act(source: Any) -> Any:
        with source.untouched.set_to(4):
            within = source.untouched()
        return within, source.untouched()

    assert on_a_source(alike, act)[0] == [4, None]


def test_a_block_in_one_client_leaves_the_setting_of_others_alone(bench: Bench) -> None:
    source = bench.make(Source, "source")
    with source.v1.set_to(2.0):
        # The server's own parameter stays settable: the driver may go on.
        source.callattr("v1.set", 3.0)
        assert source.v1() == 3.0
    assert isinstance(source.v1, Parameter)
    assert source.v1() == 0.0
