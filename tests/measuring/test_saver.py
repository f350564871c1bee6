"""`Measurement` over remote parameters: registered by hand, watched while it runs, stored in every way."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Channels, Meter, Source, Values
from measuring.stored import differences, without_circumstances
from qcodes.dataset import (
    DataSetDefinition,
    DataSetType,
    LinSweep,
    LinSweeper,
    Measurement,
    connect,
    datasaver_builder,
    dond,
    dond_into,
    load_by_run_spec,
    load_from_netcdf,
)
from qcodes.parameters import expand_setpoints_helper

from instrumentserver.client.session import Session

pytestmark = pytest.mark.slow


def rack(bench: Bench) -> tuple[Any, Any]:
    """Return a source and, on another server, a meter that listens to it."""
    source = bench.make(Source, "source")
    return source, bench.make(Meter, "meter", source, server="two")


def current_over_voltage(source: Any, meter: Any, **kwargs: Any) -> Measurement:
    """Return a measurement of ``meter.i`` over ``source.v1``."""
    measurement = Measurement(**kwargs)
    measurement.register_parameter(source.v1)
    measurement.register_parameter(meter.i, setpoints=[source.v1])
    return measurement


def test_parameters_registered_by_hand(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        values, trace = bench.make(Values, "values"), bench.make(Channels, "rack").A
        measurement = Measurement(name="by hand")
        measurement.register_parameter(source.v1)
        measurement.register_parameter(source.millivolt, basis=(source.v1,))
        measurement.register_parameter(meter.i, setpoints=(source.v1,))
        measurement.register_parameter(values.text, setpoints=("source_v1",))
        measurement.register_parameter(values.impedance, setpoints=(source.v1,), paramtype="complex")
        measurement.register_parameter(trace.dummy_parameter_with_setpoints, setpoints=(source.v1,))
        measurement.register_custom_parameter("power", label="Power", unit="W", setpoints=(source.v1,))
        measurement.set_shapes({"meter_i": (2,)})
        with measurement.run() as saver:
            for volts in (0.0, 1.0):
                source.v1(volts)
                read = (source.millivolt, meter.i, values.text, values.impedance)
                saver.add_result(
                    (source.v1, volts),
                    *((parameter, parameter()) for parameter in read),
                    (trace.dummy_parameter_with_setpoints, trace.dummy_parameter_with_setpoints()),
                    ("power", volts * meter.i()),
                )
        return saver.dataset

    description = alike(measure)["description"]["interdependencies_"]
    assert description["inferences"] == {"source_millivolt": ["source_v1"]}
    expected = {"name": "source_v1", "paramtype": "numeric", "label": "Voltage v1", "unit": "V"}
    assert description["parameters"]["source_v1"] == expected


def test_actions_before_and_after_the_run_may_be_methods_of_the_driver(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        measurement = current_over_voltage(source, meter)
        measurement.add_before_run(source.forget, ())
        measurement.add_after_run(source.v3.set, (2.5,))
        with measurement.run() as saver:
            saver.add_result((source.v1, 0.0), (meter.i, meter.i()))
        return saver.dataset, source.history

    assert alike(measure)[1] == [["v3", 2.5]]


def test_expanded_setpoints(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        trace = bench.make(Channels, "rack").A.dummy_parameter_with_setpoints
        measurement = Measurement()
        measurement.register_parameter(trace)
        with measurement.run() as saver:
            saver.add_result(*expand_setpoints_helper(trace))
        return saver.dataset

    assert alike(measure)["stored"]


def test_measurements_within_one_another(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        outer = current_over_voltage(source, meter, name="outer")
        inner = Measurement(name="inner")
        inner.register_parameter(source.v2)
        inner.register_parameter(meter.j, setpoints=[source.v2])
        with outer.run() as of_outer, inner.run() as of_inner:
            for volts in (0.0, 1.0):
                source.v1(volts)
                of_outer.add_result((source.v1, volts), (meter.i, meter.i()))
                for more in source.v2[0:1:0.5]:
                    source.v2(more)
                    of_inner.add_result((source.v2, more), (meter.j, meter.j()))
        return of_outer.dataset, of_inner.dataset

    assert [list(dataset["stored"]) for dataset in alike(measure)] == [["meter_i"], ["meter_j"]]


def test_sweeps_into_savers_of_several_datasets(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        definitions = [
            DataSetDefinition("line", [source.v1], [meter.i]),
            DataSetDefinition("plane", [source.v1, source.v2], [meter.j], metadata={"of": "a plane"}),
        ]
        with datasaver_builder(definitions) as (line, plane):
            for volts in LinSweeper(source.v1, 0, 1, 3, 0):
                dond_into(plane, LinSweep(source.v2, 0, 1, 2), meter.j, additional_setpoints=(source.v1,))
                line.add_result((source.v1, volts), (meter.i, meter.i()))
        return line.dataset, plane.dataset

    assert alike(measure)[1]["stored"]["meter_j"]["meter_j"].size == 6


def test_subscribers_are_told_the_same(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        told: list[tuple[float, ...]] = []
        is_told = threading.Event()

        def listen(results: list[tuple[float, ...]], length: int, state: list[Any]) -> None:
            state.extend(results)
            if length == 3:
                is_told.set()

        measurement = current_over_voltage(source, meter)
        measurement.add_subscriber(listen, told)
        measurement.write_period = 0.001
        with measurement.run() as saver:
            for volts in (0.0, 1.0, 2.0):
                source.v1(volts)
                saver.add_result((source.v1, volts), (meter.i, meter.i()))
            saver.flush_data_to_database(block=True)
            assert is_told.wait(10)
        return saver.dataset, told

    assert len(alike(measure)[1]) == 3


def test_a_live_plot_reads_the_run_while_it_grows(bench: Bench) -> None:
    source, meter = rack(bench)
    seen = []
    reader = connect(bench.folder / "runs.db")
    with current_over_voltage(source, meter).run() as saver:
        for volts in (0.0, 1.0, 2.0):
            source.v1(volts)
            saver.add_result((source.v1, volts), (meter.i, meter.i()))
            saver.flush_data_to_database(block=True)
            watched = load_by_run_spec(captured_run_id=saver.run_id, conn=reader)
            seen.append(watched.get_parameter_data()["meter_i"]["meter_i"].tolist())
            assert not watched.completed
    assert seen == [[0.0], [0.0, 1e-3], [0.0, 1e-3, 2e-3]]


def test_a_subscriber_of_the_dataset_may_read_the_instruments(bench: Bench) -> None:
    source, meter = rack(bench)
    read: list[float] = []
    has_read = threading.Event()

    def listen(results: list[Any], length: int, state: Any) -> None:
        # Runs in a thread of QCoDeS's, beside the measurement.
        read.append(meter.j())
        has_read.set()

    with current_over_voltage(source, meter).run() as saver:
        saver.dataset.subscribe(listen, min_wait=0, min_count=1, state={})
        source.v1(1.0)
        saver.add_result((source.v1, 1.0), (meter.i, meter.i()))
        saver.flush_data_to_database(block=True)
        assert has_read.wait(10)
    assert read[0] == 2e-3


def test_writing_in_the_background(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        with current_over_voltage(source, meter).run(write_in_background=True) as saver:
            for volts in (0.0, 1.0, 2.0):
                source.v1(volts)
                saver.add_result((source.v1, volts), (meter.i, meter.i()))
        return saver.dataset

    assert alike(measure)["stored"]["meter_i"]["meter_i"].tolist() == [0.0, 1e-3, 2e-3]


def test_datasets_in_memory(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, meter = rack(bench)
        trace = bench.make(Channels, "rack").A.dummy_parameter_with_setpoints
        measurement = current_over_voltage(source, meter)
        measurement.register_parameter(trace, setpoints=[source.v1])
        with measurement.run(dataset_class=DataSetType.DataSetInMem) as saver:
            for volts in (0.0, 1.0, 2.0):
                source.v1(volts)
                saver.add_result((source.v1, volts), (meter.i, meter.i()), (trace, trace()))
        saver.dataset.export("netcdf", path=bench.folder, prefix="run_")
        (file,) = bench.folder.glob("run_*.nc")
        read = load_from_netcdf(file).to_xarray_dataset()
        return read.to_dict(data="list")["data_vars"], _snapshot(read.attrs["snapshot"])

    arrays, snapshot = alike(measure, stores=False)
    assert arrays["meter_i"]["data"] == [0.0, 1e-3, 2e-3]
    assert arrays["meter_i"]["attrs"]["unit"] == "A"
    assert snapshot["parameters"]["source_v1"]["value"] == 0.0


def _snapshot(text: str) -> Any:
    return without_circumstances(json.loads(text))


@pytest.mark.parametrize("form", ["netcdf", "csv"])
def test_exported_files_hold_the_same(bench: Bench, tmp_path: Path, form: str) -> None:
    local = Bench(tmp_path / "beside", is_remote=False)
    read = []
    for each in (local, bench):
        source, meter = rack(each)
        values = each.make(Values, "values")
        dataset, _, _ = dond(
            LinSweep(source.v1, 0, 1, 3), LinSweep(source.v2, 0, 1, 2), meter.i, values.single
        )
        dataset.export(form, path=each.folder, prefix="run_")
        (file,) = [file for file in each.folder.iterdir() if file.suffix in (".nc", ".csv")]
        read.append(file.read_text() if form == "csv" else _netcdf(file))
        each.close()
    assert list(differences(*read)) == []


def _netcdf(file: Path) -> Any:
    loaded = load_from_netcdf(file)
    data = {tree: dict(arrays) for tree, arrays in loaded.get_parameter_data().items()}
    return data, loaded.description._to_dict(), without_circumstances(loaded.snapshot)


@pytest.fixture
def count_requests(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what tells how many messages were sent to servers since it was last called.

    To be asked for before a bench, since proxies keep the method that sends.
    """
    counted = itertools.count()
    request = Session.request
    last = 0

    def send(self: Session, message: list[Any], frame: bytes | None = None) -> list[Any]:
        next(counted)
        return request(self, message, frame)

    def count() -> int:
        nonlocal last
        # Asking for a number counts, too.
        before, last = last, next(counted) + 1
        return last - 1 - before

    monkeypatch.setattr(Session, "request", send)
    return count


@pytest.mark.benchmark
def test_ten_thousand_points_by_hand(count_requests: Callable[[], int], bench: Bench) -> None:
    source, meter = rack(bench)
    points = 10_000
    with current_over_voltage(source, meter).run() as saver:
        count_requests()
        began = time.perf_counter()
        for volts in np.linspace(0, 1, points):
            saver.add_result((source.v1, volts), (meter.i, meter.i.get()))
        took = time.perf_counter() - began
        sent = count_requests()
    assert saver.points_written == points
    # One get a point, and once the kind of each validator; storing a point asks nobody anything.
    assert points <= sent <= points + 4
    assert took < 1e-3 * points


def test_a_point_costs_a_message_for_each_set_and_each_get(
    count_requests: Callable[[], int], bench: Bench
) -> None:
    source, meter = rack(bench)
    sent = []
    for points in (1, 10, 30):
        count_requests()
        dond(LinSweep(source.v1, 0, 1, points), LinSweep(source.v2, 0, 1, 5), meter.i, meter.j)
        sent.append(count_requests())
    # The first run asks for the kinds of the validators. 100 more points: 20 more sets of v1, 100 of v2, 200 gets.
    assert sent[2] - sent[1] == 320
