from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drivers import Plain
from qcodes import validators as qc
from qcodes.parameters import ManualParameter, ParameterBase

from instrumentserver.errors import ProtocolError
from instrumentserver.schema import VALIDATOR_CODE, validator_extension
from instrumentserver.schema.validators import ServerValidator
from instrumentserver.wire.codec import Codec, Extension

POINTS = ManualParameter("points", initial_value=3)


class OwnNumbers(qc.Numbers):
    """A validator of a driver's own."""


def parameters() -> Extension:
    """Return what lets the one parameter of these tests travel, as a handle does."""
    return Extension(
        32,
        lambda value: "points" if isinstance(value, ParameterBase) else None,
        lambda plain: {"points": POINTS}[plain],
    )


def journey(value: Any) -> Any:
    message, _ = Codec([parameters(), validator_extension()]).encode(value)
    return Codec([parameters(), validator_extension()]).decode(message)


def looks(validator: qc.Validator[Any]) -> str:
    """Return how a validator reads, without the place in memory that some tell."""
    return repr(validator).partition(" object at ")[0]


VALIDATORS = [
    qc.Anything(),
    qc.Nothing("it is broken"),
    qc.Bool(),
    qc.Strings(),
    qc.Strings(1, 8),
    qc.Numbers(),
    qc.Numbers(-1, np.float64(2.5)),
    qc.Ints(),
    qc.Ints(-(10**30), np.int64(5)),
    qc.PermissiveInts(0, 5),
    qc.ComplexNumbers(),
    qc.Enum("a", 1, None, 2.5),
    qc.OnOff(),
    qc.Multiples(3, min_value=0, max_value=30),
    qc.PermissiveMultiples(0.1, precision=1e-9),
    qc.MultiType(qc.Ints(0, 5), qc.Strings(), combiner="OR"),
    qc.MultiTypeOr(qc.Ints(0, 5), qc.Enum("max")),
    qc.MultiTypeAnd(qc.Numbers(0), qc.Ints()),
    qc.Arrays(),
    qc.Arrays(-1, 1, shape=(2, 3), valid_types=(np.integer, np.floating)),
    qc.Arrays(shape=(), valid_types=(np.complexfloating,)),
    qc.Lists(qc.Ints(0, 5)),
    qc.Sequence(qc.Numbers(0, 1), length=2, require_sorted=True),
    qc.Callable(),
    qc.Dict(["a", "b"]),
    qc.Dict(),
    qc.Lists(qc.MultiType(qc.Lists(qc.Numbers(0, 1)), qc.Enum("all"))),
]


@pytest.mark.parametrize("validator", VALIDATORS, ids=looks)
def test_a_validator_of_qcodes_arrives_as_itself(validator: qc.Validator[Any]) -> None:
    arrived = journey(validator)

    assert type(arrived) is type(validator)
    assert looks(arrived) == looks(validator)
    assert arrived.is_numeric == validator.is_numeric


@pytest.mark.parametrize(
    ("validator", "good", "bad"),
    [
        (qc.Numbers(0, 5), 5.0, 5.1),
        (qc.Enum("a", 1), "a", "b"),
        (qc.Strings(0, 2), "ab", "abc"),
        (qc.Multiples(3), 9, 10),
        (qc.MultiType(qc.Ints(0, 5), qc.Strings()), "x", 6),
        (qc.MultiTypeAnd(qc.Numbers(0), qc.Ints()), 3, 3.5),
        (qc.Arrays(0, 1, shape=(2,)), np.array([0.0, 1.0]), np.zeros(3)),
        (qc.Lists(qc.Ints(0, 5)), [1, 2], [1, 6]),
        (qc.Sequence(length=2), [1, 2], [1]),
        (qc.Dict(["a"]), {"a": 1}, {"b": 1}),
        (qc.Nothing("broken"), None, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_validator_takes_and_refuses_what_it_did(validator: qc.Validator[Any], good: Any, bad: Any) -> None:
    arrived = journey(validator)

    if good is not None:
        arrived.validate(good)
    with pytest.raises((TypeError, ValueError, RuntimeError, SyntaxError)):
        arrived.validate(bad)


def test_a_validator_inside_other_values_arrives() -> None:
    arrived = journey({"vals": (qc.Ints(0, 5), None)})

    assert repr(arrived["vals"][0]) == repr(qc.Ints(0, 5))


@pytest.mark.parametrize("size", [POINTS, POINTS.get_latest], ids=["parameter", "latest"])
def test_a_shape_that_a_parameter_gives_follows_it(size: Any) -> None:
    arrived = journey(qc.Arrays(shape=(size, 2)))

    POINTS.set(4)
    try:
        assert arrived.shape == (4, 2)
    finally:
        POINTS.set(3)


def test_a_shape_that_a_function_gives_is_what_it_is_now() -> None:
    assert journey(qc.Arrays(shape=(lambda: 7,))).shape == (7,)


UNPORTABLE = [
    OwnNumbers(0, 5),
    qc.Enum(Plain, len),
    qc.Dict([Plain]),  # type: ignore[list-item]
]


@pytest.mark.parametrize("validator", UNPORTABLE, ids=lambda value: type(value).__name__)
def test_a_validator_that_cannot_travel_is_checked_on_the_server(validator: qc.Validator[Any]) -> None:
    arrived = journey(validator)

    arrived.validate("anything")
    assert repr(arrived) == f"{validator!r} (checked on the server)"
    assert arrived.is_numeric is bool(validator.is_numeric)


def test_a_validator_that_cannot_travel_leaves_those_around_it_as_they_are() -> None:
    arrived = journey(qc.MultiType(OwnNumbers(0, 5), qc.Strings()))

    assert type(arrived) is qc.MultiType
    assert [type(part) for part in arrived._validators] == [ServerValidator, qc.Strings]


def test_a_validator_that_is_checked_on_the_server_can_be_sent_on() -> None:
    arrived = journey(OwnNumbers(0, 5))

    assert repr(journey(arrived)) == repr(arrived)


@pytest.mark.parametrize(
    "plain",
    [
        [],
        ["Unknown", {}],
        ["Numbers", {"evil": 1}],
        ["Numbers", {"min_value": "a", "max_value": []}],
        ["Enum"],
        ["MultiType", [1, 2], "OR", "MultiType"],
        ["MultiType", [], "OR", "Other"],
        ["Arrays", None, None, [["latest", 1]], []],
        ["ServerValidator", []],
        5,
    ],
    ids=repr,
)
def test_what_is_no_validator_is_a_protocol_error(plain: Any) -> None:
    everything = Extension(
        VALIDATOR_CODE, lambda value: plain if value is Ellipsis else None, lambda plain: plain
    )
    message, _ = Codec([everything]).encode(...)

    with pytest.raises(ProtocolError):
        Codec([validator_extension()]).decode(message)
