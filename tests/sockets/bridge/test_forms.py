"""Values in the forms that sockets can send."""

from __future__ import annotations

import datetime
import enum
import json
import math
from typing import Any

import numpy as np
import pytest

from instrumentserver.sockets import plain


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    """A text of a driver's."""


class Stubborn:
    """What has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.True_, True),
        (3, 3),
        (2**70, 2**70),
        (1.5, 1.5),
        ("a", "a"),
        ("300 K, \xb5", "300 K, \xb5"),
        (Word("w"), "w"),
        (np.int64(3), 3),
        (np.uint8(200), 200),
        (np.float32(0.5), 0.5),
        (np.float64(0.25), 0.25),
        (np.longdouble(0.5), 0.5),
        (np.str_("s"), "s"),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (np.array(1.5), 1.5),
        (np.arange(3), [0, 1, 2]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (np.array([0.5], np.longdouble), [0.5]),
        (np.array([1 + 2j]), ["(1+2j)"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([Colour.RED, None], object), ["RED", None]),
        (np.zeros((0, 2)), []),
        (1 + 2j, "(1+2j)"),
        ((1, (2.0, np.int8(3))), [1, [2.0, 3]]),
        ({5}, [5]),
        ({"a": np.arange(2), 1: Colour.RED, Colour.RED: None}, {"a": [0, 1], "1": "RED", "RED": None}),
        (b"ab", "b'ab'"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (Stubborn(), "<Stubborn whose text cannot be shown: RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_gets_a_form_of_json_and_raw_text(value: Any, expected: Any) -> None:
    form = plain(value)
    assert form == expected
    assert _types(form) == _types(expected)
    json.dumps(form)


def test_nan_stays_a_number() -> None:
    assert math.isnan(plain(np.float32("nan")))


def test_value_that_contains_itself_has_a_form() -> None:
    knot: list[Any] = []
    knot.append(knot)
    assert plain(knot) == "<list that is nested too deeply>"


def test_form_shares_nothing_with_the_value() -> None:
    value = {"a": [1]}
    form = plain(value)
    value["a"].append(2)
    assert form == {"a": [1]}


def _types(form: Any) -> Any:
    if isinstance(form, list):
        return [_types(item) for item in form]
    if isinstance(form, dict):
        return {key: _types(item) for key, item in form.items()}
    return type(form)
