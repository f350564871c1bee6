"""What is changed between two runs is in the second one, remotely as locally."""

from __future__ import annotations

from typing import Any

import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Clock, Follower, Meter, Source
from qcodes.dataset import LinSweep, dond
from qcodes.parameters import DelegateParameter
from qcodes.station import Station
from qcodes.validators import Numbers

pytestmark = pytest.mark.slow


def rack(bench: Bench) -> tuple[Any, Any]:
    """Return a source and, on another server, a meter that listens to it."""
    source = bench.make(Source, "source")
    return source, bench.make(Meter, "meter", source, server="two")


def test_labels_units_scales_and_limits(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        source.v1.label, source.v1.unit, meter.i.unit = "Plunger", "dV", "kA"
        source.v1.scale = 10
        source.v1.vals = Numbers(0, 5)
        source.v1.step, source.v1.inter_delay = 0.25, 0
        source.forget()
        swept = dond(LinSweep(source.v1, 0, 1, 3), meter.i)
        with pytest.raises(ValueError, match="must be between 0 and 5"):
            dond(LinSweep(source.v1, 0, 6, 2), meter.i)
        return swept, source.history[:5]

    (dataset, _, _), history = alike(measure)
    assert "'source_v1', 'numeric', 'Plunger', 'dV'" in dataset["specifications"][0]
    assert history == [["v1", volts] for volts in (0.0, 2.5, 5.0, 7.5, 10.0)]


def test_another_source_for_a_delegate_of_the_server(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        runs, said = [], []
        for through in (source.v2, source.v3):
            source.same.source = through
            runs.append(dond(LinSweep(source.same, 0, 1, 2), meter.i)[0])
            said.append((source.same.label, source.same.unit, source.same.source is through, through()))
        source.same.source = None
        said.append((source.same.label, source.same.gettable, source.same.settable))
        with pytest.raises(TypeError, match="not gettable"):
            source.same.get()
        with pytest.raises(NotImplementedError, match="no get cmd found"):
            source.same()
        return runs, said

    runs, said = alike(measure)
    assert said[1] == ["Voltage v3", "V", True, 1.0]
    assert runs[1]["stored"]["meter_i"]["meter_i"].tolist() == [1e-2, 1e-2]


@pytest.mark.parametrize("where", ["of the server", "of this process"])
def test_parameters_added_by_the_user(alike: Alike, where: str) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        what: dict[str, Any] = {"label": "Doubled", "unit": "V"}
        if where == "of the server":
            what |= {"parameter_class": DelegateParameter, "source": source.v1, "scale": 0.5}
        else:
            what |= {
                "get_cmd": lambda: 2 * source.v1(),
                "set_cmd": lambda value: source.v1(0.5 * value),
            }
        added = source.add_parameter("doubled", **what)
        assert added is source.doubled
        Station(source, meter)
        return dond(LinSweep(source.doubled, 0, 1, 3), meter.i, source.v1)

    stored = alike(measure)[0]["stored"]
    assert stored["meter_i"]["source_doubled"].tolist() == [0.0, 0.5, 1.0]
    assert stored["source_v1"]["source_v1"].tolist() == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("server", ["one", "two"], ids=["the same server", "another server"])
def test_setpoints_of_another_instrument(alike: Alike, server: str) -> None:
    def measure(bench: Bench) -> Any:
        source, clock = bench.make(Source, "source"), bench.make(Clock, "clock")
        follower = bench.make(Follower, "follower", clock, server=server)
        runs = []
        for ticks in (4, 6):
            clock.ticks(ticks)
            runs.append(dond(LinSweep(source.v1, 0, 1, 2), follower.trace)[0])
        assert follower.trace.setpoints[0] is clock.axis
        return runs

    shapes = [run["stored"]["follower_trace"]["clock_axis"].shape for run in alike(measure)]
    assert shapes == [(2, 4), (2, 6)]


def test_an_instrument_may_change_while_it_is_measured(bench: Bench) -> None:
    source, meter = rack(bench)
    before = source.v1

    def grow() -> None:
        source.callattr("add_parameter", f"new{len(source.parameters)}", initial_value=1, set_cmd=None)

    dataset, _, _ = dond(LinSweep(source.v1, 0, 1, 5), grow, meter.i)
    assert source.v1 is before
    assert len([name for name in source.parameters if name.startswith("new")]) == 5
    assert dataset.get_parameter_data()["meter_i"]["meter_i"].tolist() == [0, 0.25e-3, 0.5e-3, 0.75e-3, 1e-3]
