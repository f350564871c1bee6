from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drivers import Plain, Validating
from qcodes import validators as qc
from qcodes.parameters import ManualParameter, ParameterBase

from instrumentserver import Server
from instrumentserver.errors import NotPortable, ProtocolError, UsageError
from instrumentserver.schema import VALIDATOR_CODE, bind_sizes, validator_extension
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


def test_a_length_that_a_function_gives_is_asked_for_when_it_is_wanted() -> None:
    def seven() -> int:
        asked.append(7)
        return 7

    asked: list[int] = []
    arrived = journey(qc.Arrays(shape=(3, seven)))
    assert asked == []
    assert arrived.shape_unevaluated == journey(qc.Arrays(shape=(3, seven))).shape_unevaluated
    assert arrived.shape_unevaluated != journey(qc.Arrays(shape=(3, lambda: 7))).shape_unevaluated
    with pytest.raises(UsageError, match="read vals of the parameter again"):
        _ = arrived.shape
    places: list[str] = []

    def ask(place: str) -> int:
        places.append(place)
        return seven()

    bind_sizes(arrived, ask, "vals")
    assert arrived.shape == (3, 7)
    assert places == ["vals.shape[1]"]


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


# From a client to a server, and back


class Even(qc.Validator[int]):
    """A validator of a user's own."""

    is_numeric = True

    def validate(self, value: int, context: str = "") -> None:
        """Refuse odd numbers."""
        if value % 2:
            raise ValueError(f"{value} is odd; {context}")

    def __repr__(self) -> str:
        return "<Even>"


SET: dict[str, Callable[[Any, Any], Any]] = {
    "vals": lambda parameter, validator: setattr(parameter, "vals", validator),
    "add_validator": lambda parameter, validator: parameter.add_validator(validator),
    "extra_validator": lambda parameter, validator: parameter.extra_validator(validator).__enter__(),
    "nested name": lambda parameter, validator: parameter.setattr("vals", validator),
}


@pytest.fixture
def validating(server: Server) -> Validating:
    return server.create(Validating, "validating")


def test_a_validator_of_a_user_s_own_is_refused_with_the_remedy(validating: Validating) -> None:
    for make in (Even, lambda: qc.MultiType(Even(), qc.Strings()), lambda: qc.Lists(Even())):
        for how, set_ in SET.items():
            with pytest.raises(
                NotPortable, match=r"validator.* cannot travel.*qcodes\.validators, or .*driver"
            ):
                set_(validating.level, make())
            assert repr(validating.level.vals) == "<Numbers 0<=v<=9>", how
            assert len(validating.level.validators) == 1
    with pytest.raises(ValueError, match="between 0 and 9"):
        validating.level(10)
    validating.level(3)
    assert validating.level() == 3


def test_a_parameter_with_a_validator_of_a_user_s_own_stays_here(validating: Validating) -> None:
    even = validating.add_parameter("even", set_cmd=None, vals=Even())
    with pytest.raises(ValueError, match="3 is odd"):
        even(3)
    even(4)
    assert "even" not in validating.callattr("snapshot")["parameters"]


def test_a_driver_s_own_validator_is_checked_on_the_server(validating: Validating) -> None:
    odd = validating.odd
    assert repr(odd.vals).endswith("(checked on the server)")
    assert odd.vals.is_numeric
    odd.vals.validate("anything")
    for refused in (odd, odd.set, odd.validate):
        with pytest.raises(ValueError, match="4 is even"):
            refused(4)
    odd(5)
    assert odd() == 5
    assert len(list(odd.sweep(1, 3, num=2))) == 2
    with pytest.raises(TypeError, match="not an int or float"):
        odd.validate("one")


def test_a_driver_s_own_validator_stays_when_others_come_and_go(validating: Validating) -> None:
    odd = validating.odd
    odd.add_validator(qc.Numbers(0, 5))
    with pytest.raises(ValueError, match="between 0 and 5"):
        odd(7)
    with pytest.raises(ValueError, match="4 is even"):
        odd(4)
    assert [repr(validator).endswith("(checked on the server)") for validator in odd.validators] == [
        True,
        False,
    ]
    assert repr(odd.remove_validator()) == "<Numbers 0<=v<=5>"
    odd(7)
    with odd.extra_validator(qc.Ints(1, 3)):
        with pytest.raises(ValueError, match="between 1 and 3"):
            odd(7)
    odd(9)


def test_a_validator_is_the_same_for_all_after_it_was_set_here(validating: Validating) -> None:
    level = validating.level
    level.vals = qc.Enum(1, 2, "max")
    assert repr(validating.getattr("level.vals")) == repr(level.vals)
    with pytest.raises(ValueError, match="not in"):
        validating.callattr("level.set", 3)
    level.vals = None
    level(100)
    assert level.vals is None
