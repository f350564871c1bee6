"""dond, do1d and do2d over remote parameters store what they store over local ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from measuring.bench import Alike, Bench
from measuring.rack import Meter, Source
from qcodes.dataset import (
    ArraySweep,
    LinSweep,
    LogSweep,
    TogetherSweep,
    do0d,
    do1d,
    do2d,
    dond,
    load_by_id,
    load_or_create_experiment,
)
from qcodes.parameters import DelegateParameter, ScaledParameter
from qcodes.station import Station

pytestmark = pytest.mark.slow

Make = Callable[[Bench], Any]


def rack(bench: Bench) -> tuple[Any, Any]:
    """Return a source and, on another server, a meter that listens to it."""
    source = bench.make(Source, "source")
    return source, bench.make(Meter, "meter", source, server="two")


def test_two_setters_and_two_getters(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        return dond(LinSweep(source.v1, 0, 1, 4), LinSweep(source.v2, -1, 1, 3), meter.i, meter.j)

    dataset, _, _ = alike(measure)
    assert dataset["stored"]["meter_j"]["meter_j"].shape == (4, 3)
    assert dataset["stored"]["meter_i"]["meter_i"][-1, -1] == pytest.approx(11e-3)


def test_sweeps_of_every_kind(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        return dond(
            TogetherSweep(LogSweep(source.v1, -2, 0, 3), ArraySweep(source.v2, [1, 2, 4])),
            ArraySweep(source.v3, np.array([3, 1, 2], dtype="float32")),
            meter.i,
        )

    assert set(alike(measure)[0]["stored"]["meter_i"]) == {"meter_i", "source_v1", "source_v2", "source_v3"}


def test_do0d_do1d_and_do2d(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        return (
            do0d(meter.i, source.v3),
            do1d(source.v1, 0, 1, 5, 0, meter.i, source.millivolt),
            do2d(source.v1, 0, 1, 3, 0, source.v2, 0, 1, 3, 0, meter.i, set_before_sweep=True),
        )

    assert len(alike(measure)) == 3


def test_a_setpoint_that_is_read_back(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        return dond(LinSweep(source.coarse, 0, 1, 7, get_after_set=True), meter.i)

    stored = alike(measure)[0]["stored"]["meter_i"]
    assert stored["source_coarse"].tolist() == [0.0, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0]


def test_groups_of_parameters_make_datasets_of_their_own(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        other = load_or_create_experiment("other", "sample")
        first = load_or_create_experiment("compared", "sample")
        return dond(
            LinSweep(source.v1, 0, 1, 3),
            [meter.i],
            [meter.j, source.v3],
            measurement_name=["one", "two"],
            exp=[first, other],
        )

    datasets, _, _ = alike(measure)
    assert [set(dataset["stored"]) for dataset in datasets] == [{"meter_i"}, {"meter_j", "source_v3"}]


def test_datasets_that_depend_on_some_of_the_setpoints(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        together = TogetherSweep(LinSweep(source.v1, 0, 1, 3), LinSweep(source.v2, 0, 1, 3))
        depends = {"one": [source.v1, meter.i], "both": [source.v1, source.v2, meter.j]}
        return dond(together, meter.i, meter.j, dataset_dependencies=depends)

    datasets, _, _ = alike(measure)
    assert set(datasets[0]["stored"]["meter_i"]) == {"meter_i", "source_v1"}


def test_setpoints_beside_the_swept_ones(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        return dond(LinSweep(source.v1, 0, 1, 3), meter.i, additional_setpoints=[source.v3, source.count])

    assert alike(measure)[0]["stored"]["meter_i"]["meter_i"].shape == (3, 1, 1)


def test_a_condition_ends_the_measurement(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        dataset, _, _ = dond(LinSweep(source.v1, 0, 1, 9), meter.i, break_condition=lambda: source.v1() > 0.5)
        return dataset, source.v1()

    assert alike(measure)[1] == 0.625


def test_actions_run_where_they_are_asked_for(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        seen: list[float] = []
        dataset, _, _ = dond(
            LinSweep(source.v1, 0, 1, 3, post_actions=[lambda: seen.append(source.v1())]),
            meter.i,
            # A function among the parameters is called at every point: here one of the driver's own.
            source.forget,
            enter_actions=[lambda: source.v3(2), source.forget],
            exit_actions=[lambda: seen.append(source.v3()), lambda: source.v3(0)],
        )
        return dataset, seen, source.v3(), source.history

    assert alike(measure)[1:] == [[0.0, 0.5, 1.0, 2.0], 0, [["v3", 0]]]


def test_delegates_of_this_process_over_remote_sources(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        small = DelegateParameter("small", source=source.v1, scale=1e-3, unit="mV", label="Small")
        strong = ScaledParameter(source.v2, gain=5, unit="kV", label="Strong", name="strong")
        reading = DelegateParameter("reading", source=meter.i)
        divided = ScaledParameter(meter.j, division=source.count, name="divided")
        dataset, _, _ = dond(LinSweep(small, 0, 1, 3), LinSweep(strong, 0, 10, 3), reading, divided)
        return dataset, source.v1(), source.v2()

    assert alike(measure)[1:] == [1e-3, 2.0]


def test_delegates_of_the_server(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        dataset, _, _ = dond(LinSweep(source.millivolt, 0, 500, 3), LinSweep(source.same, 0, 1, 3), meter.i)
        return dataset, source.v1(), source.v2()

    assert alike(measure)[1:] == [0.5, 1.0]


def test_the_snapshot_of_a_station(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        Station(source, meter)
        source.v3(1.25)
        return dond(LinSweep(source.v1, 0, 1, 3), meter.i)

    instruments = alike(measure)[0]["snapshot"]["station"]["instruments"]
    assert instruments["source"]["__class__"] == "measuring.rack.Source"
    assert instruments["source"]["parameters"]["v3"]["value"] == 1.25


def test_a_getter_that_fails_leaves_the_points_before_it(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        with pytest.raises(RuntimeError, match="the meter has melted") as raised:
            dond(LinSweep(source.v1, 0, 1, 9), meter.fragile)
        dataset = load_by_id(1)
        assert "the meter has melted" in dataset.metadata["measurement_exception"]
        return type(raised.value).__name__, source.v1(), dataset.completed, dataset.number_of_results

    assert alike(measure) == ["RuntimeError", 0.25, True, 2]


def test_a_progress_bar_and_keyword_arguments_by_dict(
    alike: Alike, capfd: pytest.CaptureFixture[str]
) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        how = {"show_progress": True, "measurement_name": "named", "write_period": 0.1, "log_info": "logged"}
        return dond(LinSweep(source.v1, 0, 1, 3), meter.i, in_memory_cache=False, squeeze=False, **how)

    (dataset,), _, _ = alike(measure)
    assert dataset["stored"]["meter_i"]["meter_i"].shape == (3,)
    assert capfd.readouterr().err.count("3/3") >= 2


def test_pictures_are_labelled_alike(alike: Alike, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")

    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        dataset, axes, bars = dond(
            LinSweep(source.v1, 0, 1, 3), LinSweep(source.v2, 0, 1, 3), meter.i, do_plot=True
        )
        shown = [(axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) for axis in axes]
        pyplot.close("all")
        return dataset, shown, [bar.ax.get_ylabel() for bar in bars]

    assert alike(measure)[1][0][:2] == ["Voltage v1 (V)", "Voltage v2 (V)"]
