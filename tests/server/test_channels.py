"""Channels at the server: what a parameter is as one, and reading and writing several at a time."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
from drivers import Digitizer, Gate, Growing, Plain
from qcodes import validators as qc
from qcodes.instrument import Instrument
from qcodes.parameters import (
    DelegateParameter,
    GroupedParameter,
    ManualParameter,
    Parameter,
    ParameterBase,
    ScaledParameter,
    create_on_off_val_mapping,
)
from qcodes.parameters.grouped_parameter import DelegateGroup

from instrumentserver import Server, UnknownName, start_server
from instrumentserver.client.registry import open_session
from instrumentserver.schema import ChannelSchema, ChannelType
from instrumentserver.server.describe_channel import describe_channel
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op

DOUBLE, LONG, ENUM, STRING = ChannelType.DOUBLE, ChannelType.LONG, ChannelType.ENUM, ChannelType.STRING


class Colour(enum.Enum):
    """A driver's own."""

    RED = "r"
    BLUE = "b"


class Unportable:
    """Cannot travel."""


class Big(Instrument):
    """An instrument with very many parameters, one of them slow."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for number in range(1000):
            self.add_parameter(f"p{number}", set_cmd=None, get_cmd=None, vals=qc.Numbers(-10, 10), unit="V")


class Asked(Instrument):
    """An instrument that counts how often its hardware is asked."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.asked: list[str] = []
        self.add_parameter("points", get_cmd=lambda: self.asked.append("points") or 4)
        self.add_parameter("trace", get_cmd=self._trace, vals=qc.Arrays(shape=(self.points,)))
        self.add_parameter("other", get_cmd=self._trace, vals=qc.Arrays(shape=(self.points.get_latest,)))
        self.add_parameter("third", get_cmd=self._trace, vals=qc.Arrays(shape=(lambda: self.points(),)))

    def _trace(self) -> Any:
        self.asked.append("trace")
        return np.zeros(4)


class Odd(Instrument):
    """An instrument with values that cannot travel, and with failures."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("thing", get_cmd=lambda: Unportable())
        self.add_parameter("mode", set_cmd=lambda value: None, val_mapping={Unportable: 0, "b": 1})
        self.add_parameter("broken", get_cmd=self._fail, set_cmd=lambda value: self._fail())
        self.add_parameter("set_only", get_cmd=False, set_cmd=lambda value: None, vals=qc.Numbers(0, 5))
        self.add_parameter("fine", set_cmd=None, get_cmd=None, initial_value=1)

    def _fail(self) -> None:
        raise OSError(5, "the line is dead")


def described(**kwargs: Any) -> ChannelSchema:
    return of(Parameter("x", **{"get_cmd": None, "set_cmd": None, **kwargs}))


def of(parameter: ParameterBase) -> ChannelSchema:
    found = describe_channel("dac.x", parameter)
    assert found is not None
    return found


NUMBER_OR_WORD = qc.MultiType(qc.Numbers(0, 9), qc.Enum("MIN", "MAX"))
NARROWED = qc.MultiTypeAnd(qc.Numbers(0, 9), qc.Numbers(-1, 5))
WIDENED = qc.MultiTypeOr(qc.Ints(0, 3), qc.Ints(5, 9))


@pytest.mark.parametrize(
    ("validator", "kind", "lower", "upper"),
    [
        (qc.Numbers(-5, 5), DOUBLE, -5, 5),
        (qc.Numbers(min_value=0), DOUBLE, 0, None),
        (qc.Numbers(), DOUBLE, None, None),
        (qc.Ints(0, 10), LONG, 0, 10),
        (qc.Ints(), LONG, None, None),
        (qc.PermissiveInts(0, 10), LONG, 0, 10),
        (qc.Multiples(5, min_value=0, max_value=100), LONG, 0, 100),
        (qc.PermissiveMultiples(0.1), DOUBLE, None, None),
        (qc.Strings(1, 10), STRING, None, None),
        (qc.Bool(), ENUM, None, None),
        (qc.OnOff(), ENUM, None, None),
        (qc.Enum("a", "b"), ENUM, None, None),
        (qc.Enum("a", 1), ENUM, None, None),
        (qc.Enum(Colour.RED, Colour.BLUE), ENUM, None, None),
        (qc.Enum(1, 10, 100), LONG, 1, 100),
        (qc.Enum(0.1, 1), DOUBLE, 0.1, 1),
        (qc.Enum(True, False), ENUM, None, None),
        (qc.LiteralValidator[Literal["a", "b"]](), ENUM, None, None),
        (NUMBER_OR_WORD, DOUBLE, 0, 9),
        (NARROWED, DOUBLE, 0, 5),
        (WIDENED, LONG, 0, 9),
        (qc.MultiType(qc.Ints(0, 3), qc.Numbers(0.5, 7)), DOUBLE, 0, 7),
        (qc.MultiType(qc.Numbers(0, 3), qc.Numbers()), DOUBLE, None, None),
        (qc.MultiType(qc.Strings(), qc.Enum(None)), STRING, None, None),
        (qc.MultiType(qc.Enum("a"), qc.Enum("b", "c")), ENUM, None, None),
        (qc.ComplexNumbers(), DOUBLE, None, None),
        (qc.Anything(), DOUBLE, None, None),
        (None, DOUBLE, None, None),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "validate") else repr(value),
)
def test_validators_tell_type_and_limits(validator: Any, kind: int, lower: Any, upper: Any) -> None:
    schema = described(vals=validator)
    assert (schema.type, schema.lower, schema.upper) == (kind, lower, upper)
    assert schema.count == (2 if isinstance(validator, qc.ComplexNumbers) else 1)


@pytest.mark.parametrize("validator", [qc.Dict(), qc.Callable(), qc.Nothing("no")], ids=repr)
def test_what_takes_no_plain_value_is_no_channel(validator: Any) -> None:
    assert describe_channel("dac.x", Parameter("x", set_cmd=None, get_cmd=None, vals=validator)) is None


@pytest.mark.parametrize(
    ("fields", "choices", "keys"),
    [
        ({"vals": qc.Bool()}, ["Off", "On"], [False, True]),
        ({"vals": qc.OnOff()}, ["off", "on"], ["off", "on"]),
        ({"vals": qc.Enum("c", "a", "b")}, ["c", "a", "b"], ["c", "a", "b"]),
        ({"vals": qc.Enum("a", None, 3)}, ["a", "None", "3"], ["a", None, 3]),
        ({"vals": qc.Enum(*Colour)}, ["RED", "BLUE"], [Colour.RED, Colour.BLUE]),
        ({"val_mapping": {"dc": "DC;", "ac": "AC;"}}, ["dc", "ac"], ["dc", "ac"]),
        ({"val_mapping": {"two": 2, "zero": 0, "one": 1}}, ["zero", "one", "two"], ["zero", "one", "two"]),
        ({"val_mapping": {10: "b", 1: "a"}}, ["10", "1"], [10, 1]),
        ({"val_mapping": {"ON": "1;", "OFF": "0;"}}, ["OFF", "ON"], ["OFF", "ON"]),
        ({"val_mapping": {True: 0, False: 1}}, ["Off", "On"], [False, True]),
        ({"val_mapping": create_on_off_val_mapping("1", "0")}, ["Off", "On"], [False, True]),
    ],
)
def test_choices_are_counted_as_the_hardware_does_or_as_the_driver_wrote(
    fields: dict[str, Any], choices: list[str], keys: list[Any]
) -> None:
    schema = described(**fields)
    assert (schema.type, schema.choices) == (ENUM, choices)
    assert [(type(key), key) for key in schema.keys] == [(type(key), key) for key in keys]


def test_other_values_of_a_mapping_are_known_as_choices() -> None:
    schema = described(val_mapping=create_on_off_val_mapping(1, 0))
    assert sorted(key for key, number in schema.aliases if number == 1) == ["1", "ON", "On", "on"]
    assert described(val_mapping={"a": 0, "first": 0, "b": 1}).keys == ["first", "b"]


def test_more_choices_than_sixteen_are_text() -> None:
    schema = described(vals=qc.Enum(*(f"c{number}" for number in range(17))))
    assert (schema.type, schema.choices, len(schema.keys)) == (STRING, [], 17)


@pytest.mark.parametrize(
    ("validator", "kind", "count", "dtype"),
    [
        (qc.Arrays(shape=(2, 3)), DOUBLE, 6, np.float64),
        (qc.Arrays(shape=(3,), valid_types=(np.integer,)), LONG, 3, np.int64),
        (qc.Arrays(shape=(3,), valid_types=(np.int16,)), ChannelType.INT, 3, np.int16),
        (qc.Arrays(shape=(3,), valid_types=(np.uint8,)), ChannelType.CHAR, 3, np.uint8),
        (qc.Arrays(shape=(3,), valid_types=(np.float32,)), ChannelType.FLOAT, 3, np.float32),
        (qc.Arrays(shape=(3,), valid_types=(np.complexfloating,)), DOUBLE, 6, np.complex128),
        (qc.Arrays(), DOUBLE, 0, np.float64),
        (qc.Lists(qc.Ints()), LONG, 0, np.int64),
        (qc.Sequence(qc.Numbers(0, 1), length=4), DOUBLE, 4, np.float64),
    ],
    ids=repr,
)
def test_arrays_have_type_and_count(validator: Any, kind: int, count: int, dtype: type) -> None:
    schema = described(vals=validator)
    assert (schema.type, schema.count, schema.is_array) == (kind, count, True)
    assert np.dtype(schema.dtype) == np.dtype(dtype)


def test_lists_of_text_are_arrays_of_text() -> None:
    schema = described(vals=qc.Lists(qc.Strings()))
    assert (schema.type, schema.count, schema.is_array, schema.is_list) == (STRING, 0, True, True)
    assert not described(vals=qc.Lists(qc.Lists(qc.Ints()))).settable


def test_limits_of_several_validators_hold_together() -> None:
    parameter = Parameter("x", set_cmd=None, get_cmd=None, vals=qc.Numbers(0, 9))
    parameter.add_validator(qc.Numbers(-3, 4))
    assert (of(parameter).lower, of(parameter).upper) == (0, 4)


def test_unit_label_doc_access_and_period_are_the_parameters() -> None:
    parameter = Parameter("x", get_cmd=lambda: 1.0, unit="V", label="Bias", docstring="The bias.", step=None)
    parameter.poll_period = 0.5  # type: ignore[attr-defined]
    schema = of(parameter)
    assert (schema.path, schema.unit, schema.label, schema.doc) == ("dac.x", "V", "Bias", "The bias.")
    assert (schema.gettable, schema.settable, schema.poll_period) == (True, False, 0.5)
    assert described(get_cmd=False).gettable is False


@pytest.mark.parametrize(("step", "precision"), [(0.001, 3), (0.25, 2), (2, 1), (1e-9, 9)])
def test_the_step_tells_the_precision(step: float, precision: int) -> None:
    assert described(vals=qc.Numbers(), step=step, initial_value=0.0).precision == precision
    assert described(vals=qc.Numbers()).precision == 6


@pytest.mark.parametrize(
    ("parser", "kind"), [(float, DOUBLE), (int, LONG), (str, STRING), (bool, ENUM), (complex, DOUBLE)]
)
def test_a_parser_tells_the_type(parser: type, kind: int) -> None:
    schema = described(get_parser=parser)
    assert (schema.type, schema.is_guessed) == (kind, False)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2.5, DOUBLE), (3, LONG), (True, ENUM), ("text", STRING), ({"a": 1}, STRING), (None, DOUBLE)],
)
def test_without_any_hint_the_latest_value_tells_as_a_guess(value: Any, kind: int) -> None:
    schema = of(ManualParameter("x", initial_value=value))
    assert (schema.type, schema.is_guessed) == (kind, True)
    assert schema.settable is not isinstance(value, dict)


def test_a_delegate_is_what_it_stands_for_in_its_own_scale() -> None:
    source = ManualParameter("source", vals=qc.Numbers(-2, 10), unit="V", label="Source")
    same = of(DelegateParameter("x", source=source))
    assert (same.type, same.lower, same.upper, same.unit, same.label) == (DOUBLE, -2, 10, "V", "Source")
    scaled = of(DelegateParameter("x", source=source, scale=-2, unit="mV"))
    assert (scaled.lower, scaled.upper, scaled.unit) == (-5, 1, "mV")
    counts = ManualParameter("counts", vals=qc.Ints(0, 100))
    assert of(DelegateParameter("x", source=counts)).type == LONG
    assert of(DelegateParameter("x", source=counts, scale=10, offset=50)).type == DOUBLE
    assert (of(DelegateParameter("x", source=counts, scale=10, offset=50)).lower) == -5
    modes = ManualParameter("modes", vals=qc.Enum("a", "b"))
    assert of(DelegateParameter("x", source=modes)).choices == ["a", "b"]
    own = of(DelegateParameter("x", source=source, vals=qc.Numbers(-9, 1)))
    assert (own.lower, own.upper) == (-2, 1)


def test_a_delegate_of_nothing_can_neither_be_read_nor_set() -> None:
    schema = of(DelegateParameter("x", source=None))
    assert (schema.gettable, schema.settable, schema.is_guessed) == (False, False, True)


def test_a_group_of_one_is_that_one_and_of_several_none() -> None:
    parts = [DelegateParameter(name, source=ManualParameter(name, vals=qc.Ints(0, 3))) for name in "ab"]
    one = GroupedParameter("x", group=DelegateGroup("g", [parts[0]]))  # type: ignore[list-item]
    both = GroupedParameter("x", group=DelegateGroup("g", parts))  # type: ignore[arg-type]
    assert of(one).type == LONG
    assert describe_channel("dac.x", both) is None


def test_a_scaled_parameter_is_a_number() -> None:
    source = ManualParameter("source", initial_value=1.0, vals=qc.Numbers(0, 1))
    assert of(ScaledParameter(source, division=2)).type == DOUBLE


# At a server


def channels(server: Server, *names: str) -> list[ChannelSchema | None]:
    rows = open_session(server.address).request([Op.CHANNELS, "", list(names) or None])[1]
    return [None if row is None else ChannelSchema(*row) for row in rows]


def read(server: Server, *paths: str) -> list[Any]:
    return list(open_session(server.address).request([Op.READ_CHANNELS, "", [[path] for path in paths]])[1])


def write(server: Server, *items: tuple[str, Any]) -> list[Any]:
    return list(
        open_session(server.address).request([Op.WRITE_CHANNELS, "", [list(item) for item in items]])[1]
    )


def test_every_way_to_a_parameter_leads_to_its_one_path(server: Server) -> None:
    server.create(Plain, "plain")
    found = channels(
        *(
            server,
            "plain.outs.out2.v",
            "plain:outs:out2:v",
            "plain.outs.2.v",
            "plain:outs.2:v",
            "plain_out2_v",
        )
    )
    assert [schema and schema.path for schema in found] == ["plain.outs.out2.v"] * 5


@pytest.mark.parametrize(
    "name",
    [
        "nobody.x",
        "plain",
        "plain.y",
        "plain.outs",
        "plain.outs.9.v",
        "plain.echo",
        "plain..x",
        ".",
        "",
        "plain_y",
    ],
)
def test_what_is_no_parameter_is_none(server: Server, name: str) -> None:
    server.create(Plain, "plain")
    assert channels(server, name, "plain.x")[0] is None


def test_without_names_every_parameter_is_described(server: Server) -> None:
    server.create(Digitizer, "digitizer")
    server.create(Growing, "growing")
    found = {schema.path for schema in channels(server) if schema is not None}
    parts = ("IDN", "axis", "gain", "level", "points", "sweep", "trace")
    assert found == {*(f"digitizer.{part}" for part in parts), "growing.IDN", "growing.chans.c0.v"}
    assert channels(server, "digitizer.iq") == [None]


def test_what_comes_and_goes_is_seen_at_once(server: Server) -> None:
    growing, plain = server.create(Growing, "growing"), server.create(Plain, "plain")
    assert channels(server, "growing.chans.c1.v", "plain.more") == [None, None]
    growing.add_channel()
    plain.grow("more")
    assert all(channels(server, "growing.chans.c1.v", "plain.more"))
    plain.shrink("more")
    server.instruments["growing"].close()
    assert channels(server, "growing.chans.c1.v", "plain.more") == [None, None]


def test_describing_asks_no_hardware(server: Server) -> None:
    asked = server.create(Asked, "asked")
    assert [
        schema and schema.count for schema in channels(server, "asked.trace", "asked.other", "asked.third")
    ] == [*(0, 0, 0)]
    assert asked.asked == []
    asked.points()
    assert [
        schema and schema.count for schema in channels(server, "asked.trace", "asked.other", "asked.third")
    ] == [*(4, 4, 0)]
    assert asked.asked == ["points"]


def test_describing_waits_for_no_call(server: Server, tmp_path: Path) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(gate.wait)
        while not (tmp_path / "entered").exists():
            threading.Event().wait(0.002)
        (schema,) = channels(server, "gate.value")
        assert schema is not None and not waiting.done()
        (tmp_path / "open").touch()
        assert waiting.result() == "done"


def test_values_are_read_with_their_time_each_by_itself(server: Server) -> None:
    plain = server.create(Plain, "plain")
    server.create(Digitizer, "digitizer")
    plain.x(2.5)
    before = time.time()
    first, second, third, fourth = read(
        server, "plain.x", "digitizer.sweep", "plain.nothing", "plain.outs.out1.v"
    )
    assert first[:2] == [True, 2.5]
    assert before - 0.1 < first[2] < time.time() + 0.1
    assert np.array_equal(second[1], np.arange(5.0) ** 2)
    assert third[0] is False
    assert isinstance(load_failure(third[1]), UnknownName)
    assert fourth[:2] == [True, 0.0]


def test_values_are_written_each_by_itself(server: Server) -> None:
    plain = server.create(Plain, "plain")
    before = time.time()
    first, second, third = write(server, ("plain.x", 1.5), ("plain.x", 99), ("plain.readonly", 1))
    assert first[:2] == [True, None]
    assert before - 0.1 < first[2] < time.time() + 0.1
    refused = load_failure(second[1])
    assert isinstance(refused, ValueError)
    assert "99 is invalid: must be between -5 and 5 inclusive" in str(refused)
    assert isinstance(load_failure(third[1]), NotImplementedError)
    assert plain.x() == 1.5


def test_what_can_only_be_set_reads_as_what_it_was_set_to(server: Server) -> None:
    odd = server.create(Odd, "odd")
    assert read(server, "odd.set_only") == [[True, None, 0.0]]
    odd.set_only(3)
    before = time.time()
    ((worked, value, timestamp),) = read(server, "odd.set_only")
    assert (worked, value) == (True, 3)
    assert before - 1 < timestamp < time.time() + 0.1


def test_a_drivers_failure_concerns_its_own_parameter_alone(server: Server) -> None:
    server.create(Odd, "odd")
    broken, fine = read(server, "odd.broken", "odd.fine")
    assert repr(load_failure(broken[1])).startswith("OSError(5, 'the line is dead'")
    assert fine[1] == 1
    broken, fine = write(server, ("odd.broken", 1), ("odd.fine", 2))
    assert repr(load_failure(broken[1])).startswith("OSError(5, 'the line is dead'")
    assert fine[0] is True


def test_a_value_that_cannot_travel_concerns_its_own_parameter_alone(server: Server) -> None:
    server.create(Odd, "odd")
    thing, fine = read(server, "odd.thing", "odd.fine")
    assert "cannot travel" in str(load_failure(thing[1]))
    assert fine[1] == 1
    with pytest.raises(TypeError, match="cannot travel"):
        read(server, "odd.thing")


def test_choices_that_cannot_travel_are_shown_and_cannot_be_written(server: Server) -> None:
    server.create(Odd, "odd")
    (schema,) = channels(server, "odd.mode")
    assert schema is not None
    assert (schema.type, schema.keys, schema.settable) == (STRING, [], False)


class Borrower(Instrument):
    """An instrument whose parameters stand for those of another one."""

    def __init__(self, name: str, source: Parameter, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("same", parameter_class=DelegateParameter, source=source)
        self.add_parameter("scaled", parameter_class=DelegateParameter, source=source, scale=2, unit="mV")
        self.add_parameter("limited", parameter_class=DelegateParameter, source=source, vals=qc.Numbers(0, 1))


@pytest.mark.slow
def test_describing_asks_no_other_server(server: Server, new_name: Callable[[], str]) -> None:
    other = start_server(new_name(), linger=5)
    server.create(Borrower, "borrower", other.create(Plain, "plain").x)
    process = psutil.Process(other.pid)
    process.suspend()
    try:
        begin = time.monotonic()
        names = ["borrower.same", "borrower.scaled", "borrower.limited"]
        same, scaled, limited = channels(server, *names)
        assert time.monotonic() - begin < 1
    finally:
        process.resume()
    assert same is not None and scaled is not None and limited is not None
    assert (same.type, same.is_guessed, same.unit, same.label) == (DOUBLE, True, "V", "X")
    assert (same.gettable, same.settable) == (True, True)
    assert (scaled.unit, scaled.label) == ("mV", "X")
    assert (limited.lower, limited.upper, limited.is_guessed) == (0, 1, False)
    assert read(server, "borrower.scaled")[0][1] == 0.0


@pytest.mark.slow
def test_a_thousand_parameters_are_described_fast(server: Server) -> None:
    server.create(Big, "big")
    session, names = open_session(server.address), [f"big.p{number}" for number in range(1000)]
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        session.request([Op.CHANNELS, "", names])
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.03
