"""Parameters of every kind, measured remotely, store what they store locally."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Borrower, Channels, Clock, Follower, Meter, Scope, Source, Values
from qcodes.dataset import LinSweep, Measurement, do0d, dond
from qcodes.dataset.descriptions.detect_shapes import detect_shape_of_measurement
from qcodes.instrument_drivers.Keithley import Keithley2450
from qcodes.parameters import (
    ArrayParameter,
    DelegateGroup,
    DelegateGroupParameter,
    GroupedParameter,
    MultiParameter,
    ParameterWithSetpoints,
    combine,
)
from qcodes.validators import Arrays

pytestmark = pytest.mark.slow

NUMBERS = ["single", "integer", "nothing", "infinite", "zero_dimensional", "renamed", "unvalued"]
TEXTS_AND_COMPLEX = ["text", "impedance", "small_complex"]
ARRAYS = ["float64", "float32", "int32", "uint8", "complex64"]
WITH_SETPOINTS = [
    "array",
    "complex_array",
    "trace",
    "mixed",
    "multi",
    "multi_2d",
    "multi_2d_two_sizes",
    "multi_scalar",
]
OF_A_CHANNEL = [
    "dummy_parameter_with_setpoints",
    "dummy_parameter_with_setpoints_2d",
    "dummy_parameter_with_setpoints_complex",
    "dummy_array_parameter",
    "dummy_complex_array_parameter",
    "dummy_multi_parameter",
    "dummy_2d_multi_parameter",
    "dummy_2d_multi_parameter_2",
    "dummy_scalar_multi_parameter",
    "dummy_text",
    "dummy_complex",
]


def test_parameters_arrive_as_their_kind(bench: Bench) -> None:
    scope, follower = bench.make(Scope, "scope"), bench.make(Follower, "follower", bench.make(Clock, "clock"))
    assert isinstance(scope.array, ArrayParameter)
    assert isinstance(scope.multi, MultiParameter)
    assert isinstance(follower.trace, ParameterWithSetpoints)
    assert (scope.trace.shape, scope.trace.setpoint_names, scope.trace.setpoint_units) == (
        (5,),
        ("time",),
        ("s",),
    )
    assert (scope.mixed.names, scope.mixed.units) == (("number", "length", "image"), ("V", "m", "lx"))
    assert scope.mixed()[:2] == (0.5, 2.0)


def test_an_array_is_checked_against_the_length_that_the_instrument_has_now(bench: Bench) -> None:
    clock = bench.make(Clock, "clock")
    follower = bench.make(Follower, "follower", clock, server="two")
    clock.ticks(7)
    assert follower.trace().shape == (7,)
    follower.trace.validate(np.zeros(7))
    follower.trace.validate_consistent_shape()
    with pytest.raises(ValueError, match="does not have expected shape"):
        follower.trace.validate(np.zeros(6))


def test_numbers_texts_and_complex_numbers(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, values = bench.make(Source, "source"), bench.make(Values, "values")
        parameters = [values.parameters[name] for name in (*NUMBERS, *TEXTS_AND_COMPLEX)]
        return dond(LinSweep(source.v1, 0, 1, 3), *parameters)

    stored = alike(measure)[0]["stored"]
    assert stored["values_text"]["values_text"].tolist() == ["märz"] * 3
    assert stored["my_own_name"]["my_own_name"].tolist() == [1.5] * 3


def test_arrays_keep_their_dtype_in_the_file(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        values = bench.make(Values, "values")
        return do0d(*(values.parameters[name] for name in ARRAYS))

    stored = alike(measure)[0]["stored"]
    assert [str(stored[f"values_{name}"][f"values_{name}"].dtype) for name in ARRAYS] == ARRAYS


@pytest.mark.parametrize("name", WITH_SETPOINTS)
def test_parameters_that_bring_their_setpoints_along(alike: Alike, name: str) -> None:
    def measure(bench: Bench) -> Any:
        source, scope = bench.make(Source, "source"), bench.make(Scope, "scope")
        parameter = scope.parameters[name]
        return do0d(parameter), dond(LinSweep(source.v1, 0, 1, 2), parameter)

    assert len(alike(measure)) == 2


@pytest.mark.parametrize("name", OF_A_CHANNEL)
def test_parameters_of_a_channel(alike: Alike, name: str) -> None:
    def measure(bench: Bench) -> Any:
        source, rack = bench.make(Source, "source"), bench.make(Channels, "rack")
        by_name = dond(LinSweep(source.v1, 0, 1, 2), rack.A.parameters[name])
        return by_name, do0d(rack.channels[1].parameters[name])

    by_name, by_number = (dataset["stored"] for dataset, _, _ in alike(measure))
    assert len(by_name) == len(by_number) in (1, 2)


def test_shapes_follow_the_instrument_from_run_to_run(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, rack, scope = (bench.make(cls, cls.__name__) for cls in (Source, Channels, Scope))
        runs = []
        for points in (4, 7):
            rack.A.dummy_n_points(points)
            scope.trace.resize(points)
            swept = LinSweep(source.v1, 0, 1, 2)
            runs.append(dond(swept, rack.A.dummy_parameter_with_setpoints, scope.trace)[0])
        return runs

    longer = alike(measure)[1]["stored"]
    assert longer["Scope_trace"]["Scope_trace"].shape == (2, 7)
    assert longer["Scope_trace"]["Scope_time"].shape == (2, 7)
    name = "Channels_ChanA_dummy_parameter_with_setpoints"
    assert longer[name][name].shape == (2, 7)


def test_shapes_that_qcodes_detects(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        rack, scope = bench.make(Channels, "rack"), bench.make(Scope, "scope")
        parameters = [*scope.parameters.values(), *rack.A.parameters.values()]
        return [detect_shape_of_measurement([parameter], (2, 3)) for parameter in parameters]

    assert {"rack_ChanA_dummy_parameter_with_setpoints_2d": [2, 3, 4, 3]} in alike(measure, stores=False)


def test_what_parameters_say_of_themselves_for_a_dataset(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, values, scope = (bench.make(cls, cls.__name__) for cls in (Source, Values, Scope))
        channel = bench.make(Channels, "rack").A
        parameters = [
            each for thing in (source, values, scope, channel) for each in thing.parameters.values()
        ]
        return {parameter.full_name: _said_by(parameter) for parameter in parameters}

    said = alike(measure, stores=False)["rack_ChanA_dummy_parameter_with_setpoints"]
    assert said["depends_on"] == ["rack_ChanA_dummy_sp_axis"]
    assert said["paramtype"] == "array"


def _said_by(parameter: Any) -> dict[str, Any]:
    relations = ("depends_on", "has_control_of", "is_controlled_by")
    return {
        "text": str(parameter),
        "register_name": parameter.register_name,
        "name_parts": parameter.name_parts,
        "paramtype": parameter.paramtype,
        "param_spec": repr(parameter.param_spec),
        "underlying_instrument": parameter.underlying_instrument.full_name,
        **{name: sorted(other.full_name for other in getattr(parameter, name)) for name in relations},
    }


def test_the_same_parameter_of_all_channels(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source, rack = bench.make(Source, "source"), bench.make(Channels, "rack")
        return dond(LinSweep(source.v1, 0, 1, 2), rack.channels[:3].dummy_array_parameter)

    assert len(alike(measure)[0]["stored"]) == 3


def test_the_sweep_that_a_real_meter_makes_by_itself(alike: Alike) -> None:
    pytest.importorskip("pyvisa_sim")

    def measure(bench: Bench) -> Any:
        meter = bench.make(
            Keithley2450, "meter", address="GPIB::2::INSTR", pyvisa_sim_file="Keithley_2450.yaml"
        )
        meter.source.function("voltage")
        meter.sense.function("current")
        meter.source.sweep_setup(0, 1, 10)
        return do0d(meter.sense.sweep)

    ((name, stored),) = alike(measure)[0]["stored"].items()
    assert name.endswith("sweep")
    assert stored[name].tolist() == [*range(10)]
    assert len(stored) == 2


def test_a_grouped_parameter_over_two_instruments(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        parts = [
            DelegateGroupParameter("voltage", source=source.v1),
            DelegateGroupParameter("current", source=meter.i),
        ]
        group = DelegateGroup("power", parameters=parts, formatter=lambda volts, amperes: volts * amperes)
        power = GroupedParameter("power", group=group, unit="W", label="Power")
        return dond(LinSweep(source.v1, 0, 2, 3), power)

    assert alike(measure)[0]["stored"]["power"]["power"].tolist() == pytest.approx([0, 1e-3, 4e-3])


def test_setpoints_on_the_server_of_an_array_made_here(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        rack = bench.make(Channels, "rack")
        channel = rack.A
        doubled = ParameterWithSetpoints(
            "doubled",
            unit="W",
            setpoints=(channel.dummy_sp_axis,),
            vals=Arrays(shape=(channel.dummy_n_points,)),
            get_cmd=lambda: 2 * channel.dummy_sp_axis(),
        )
        return do0d(doubled)

    stored = alike(measure)[0]["stored"]["doubled"]
    assert stored["doubled"].tolist() == (2 * stored["rack_ChanA_dummy_sp_axis"]).tolist()


@pytest.mark.parametrize(
    ("owner", "name"), [(Scope, "without_setpoints"), (Source, "mode")], ids=["array", "text as number"]
)
def test_what_qcodes_cannot_store_is_refused_alike(alike: Alike, owner: type, name: str) -> None:
    def measure(bench: Bench) -> Any:
        parameter = bench.make(owner, "owner").parameters[name]
        with pytest.raises(Exception, match=f"owner_{name}") as raised:
            do0d(parameter)
        return type(raised.value).__name__

    assert alike(measure, stores=False) in ("RuntimeError", "ValueError")


@pytest.mark.parametrize("server", ["one", "two"], ids=["the same server", "another server"])
def test_a_parameter_that_another_instrument_shows_keeps_its_name(alike: Alike, server: str) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        borrower = bench.make(Borrower, "borrower", source, server=server)
        dataset, _, _ = dond(LinSweep(borrower.parameters["v1"], 0, 1, 3), source.v2)
        return dataset, borrower.parameters["v1"].instrument.name, source.v1()

    assert alike(measure)[1:] == ["source", 1.0]


def test_combined_parameters_are_swept_together(alike: Alike) -> None:
    def measure(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        source.forget()
        both = combine(source.v1, source.v2, name="both", units=["V"] * 2)
        swept = both.sweep(np.array([[1.0, 2.0], [3.0, 4.0]]))
        for index in swept:
            swept.set(index)
        return source.history, both.snapshot_base()["unit"]

    assert alike(measure, stores=False)[0] == [["v1", 1.0], ["v2", 2.0], ["v1", 3.0], ["v2", 4.0]]


@pytest.mark.parametrize("paramtype", ["numeric", "array"])
def test_paramtypes_named_by_the_user(alike: Alike, paramtype: str) -> None:
    def measure(bench: Bench) -> Any:
        source, values, rack = (bench.make(cls, cls.__name__) for cls in (Source, Values, Channels))
        trace = rack.A.dummy_parameter_with_setpoints
        measurement = Measurement()
        measurement.register_parameter(source.v1, paramtype=paramtype)
        measurement.register_parameter(values.integer, setpoints=[source.v1], paramtype=paramtype)
        measurement.register_parameter(trace, paramtype=paramtype)
        with measurement.run() as saver:
            axis = np.arange(4.0)
            saver.add_result((source.v1, axis), (values.integer, 2 * axis))
            saver.add_result((trace, trace()))
        return saver.dataset

    assert set(alike(measure)["stored"]) == {
        "Values_integer",
        "Channels_ChanA_dummy_parameter_with_setpoints",
    }
