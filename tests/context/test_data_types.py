from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instrumentserver.context.data_types import NATIVE, Wanted, convert, wanted_type
from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, ChannelType

DOUBLE = ChannelSchema("dac.x", int(ChannelType.DOUBLE))
STRING = ChannelSchema("dac.text", int(ChannelType.STRING))
ENUM = ChannelSchema("dac.mode", int(ChannelType.ENUM), choices=["dc", "ac"], keys=["dc", "ac"])


@pytest.mark.parametrize(
    ("data_type", "wanted"),
    [
        (None, NATIVE),
        ("native", NATIVE),
        ("status", Wanted(7, None)),
        ("time", Wanted(14, None)),
        ("graphic", Wanted(21, None)),
        ("control", Wanted(28, None)),
        (ChannelType.STRING, Wanted(0, ChannelType.STRING)),
        (6, Wanted(0, ChannelType.DOUBLE)),
        (ChannelType.TIME_ENUM, Wanted(14, ChannelType.ENUM)),
        (34, Wanted(28, ChannelType.DOUBLE)),
    ],
)
def test_a_type_is_wanted_by_word_or_number(data_type: Any, wanted: Wanted) -> None:
    assert wanted_type(data_type) == wanted


def test_an_unknown_word_is_a_key_error_and_an_unknown_number_a_value_error() -> None:
    with pytest.raises(KeyError):
        wanted_type("ctrl")
    with pytest.raises(ValueError, match="35"):
        wanted_type(35)


def test_the_type_of_a_response_is_the_block_of_what_was_wanted() -> None:
    assert wanted_type("time").type_of(ENUM) is ChannelType.TIME_ENUM
    assert wanted_type(ChannelType.CTRL_DOUBLE).type_of(ENUM) is ChannelType.CTRL_DOUBLE
    assert NATIVE.type_of(STRING) is ChannelType.STRING


@pytest.mark.parametrize(
    ("schema", "data", "base", "found"),
    [
        (DOUBLE, np.array([1.5, 2]), ChannelType.STRING, [b"1.5", b"2.0"]),
        (DOUBLE, np.array([1.7]), ChannelType.LONG, [1]),
        (DOUBLE, np.array([1.5]), ChannelType.FLOAT, [1.5]),
        (DOUBLE, np.array([65.0]), ChannelType.CHAR, [65]),
        (ENUM, np.array([1], np.uint16), ChannelType.STRING, [b"ac"]),
        (ENUM, np.array([1], np.uint16), ChannelType.DOUBLE, [1.0]),
        (ENUM, np.array([], np.uint16), ChannelType.STRING, []),
        (STRING, [b"1.5"], ChannelType.DOUBLE, [1.5]),
        (STRING, [b"12"], ChannelType.LONG, [12]),
    ],
)
def test_data_are_converted(schema: ChannelSchema, data: Any, base: ChannelType, found: list[Any]) -> None:
    converted = convert(schema, data, Wanted(0, base), None)
    assert list(converted) == found


def test_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dac\.text.*read it as STRING"):
        convert(STRING, [b"hello"], wanted_type(ChannelType.DOUBLE), None)


@pytest.mark.parametrize(("count", "left"), [(None, 3), (0, 3), (2, 2), (9, 3)])
def test_the_count_is_a_limit(count: int | None, left: int) -> None:
    assert len(convert(DOUBLE, np.arange(3.0), NATIVE, count)) == left


def test_native_data_are_handed_on_as_they_are() -> None:
    data = np.arange(3.0)
    assert convert(DOUBLE, data, NATIVE, None) is data
