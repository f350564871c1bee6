"""Values of parameters as data of channels, and back."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, ChannelType, refine, to_data, to_value
from instrumentserver.schema.channel_values import array_kind, choices_kind, value_kind
from instrumentserver.wire.codec import Codec


class Colour(enum.Enum):
    """A driver's own."""

    RED = "r"
    BLUE = "b"


def channel(kind: int = ChannelType.DOUBLE, **fields: Any) -> ChannelSchema:
    return ChannelSchema("dac.x", kind, **fields)


def of(value: Any) -> ChannelSchema:
    return ChannelSchema("dac.x")._replace(**value_kind(value))


DOUBLE, LONG, STRING = channel(), channel(ChannelType.LONG), channel(ChannelType.STRING)
BOOL = ChannelSchema("dac.on")._replace(**choices_kind([False, True]))
RANGES = ChannelSchema("dac.range")._replace(**choices_kind([1, 10]), aliases=[["high", 1]])
WORDS = channel(keys=["MIN", "MAX"])


def test_numbers_of_types_are_those_of_channel_access() -> None:
    assert [ChannelType(number).name for number in range(7)] == [
        *("STRING", "INT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
    ]
    for block, first in (("STS", 7), ("TIME", 14), ("GR", 21), ("CTRL", 28)):
        assert ChannelType[f"{block}_STRING"] == first
        assert ChannelType[f"{block}_DOUBLE"] == first + 6


def test_a_schema_travels_as_the_list_of_its_fields() -> None:
    schema = RANGES._replace(unit="V", lower=-1.5, poll_period=0.5)
    assert ChannelSchema(*Codec().decode(*Codec().encode(list(schema)))) == schema


@pytest.mark.parametrize(
    ("schema", "value", "data", "dtype"),
    [
        (DOUBLE, 1.5, [1.5], np.float64),
        (DOUBLE, 3, [3.0], np.float64),
        (DOUBLE, np.float32(0.5), [0.5], np.float64),
        (DOUBLE, True, [1.0], np.float64),
        (DOUBLE, None, [], np.float64),
        (DOUBLE, [1, 2.5], [1.0, 2.5], np.float64),
        (DOUBLE, np.array(2.0), [2.0], np.float64),
        (LONG, 7, [7], np.int64),
        (LONG, -(2**60), [-(2**60)], np.int64),
        (LONG, 2.0, [2], np.int64),
        (channel(ChannelType.INT), np.int16(-3), [-3], np.int16),
        (channel(ChannelType.FLOAT), 0.5, [0.5], np.float32),
        (channel(ChannelType.CHAR), np.uint8(200), [200], np.uint8),
        (BOOL, True, [1], np.uint16),
        (BOOL, np.bool_(False), [0], np.uint16),
        (BOOL, "on", [1], np.uint16),
        (RANGES, 10, [1], np.uint16),
        (RANGES, 1.0, [0], np.uint16),
        (RANGES, "high", [1], np.uint16),
        (RANGES, None, [], np.uint16),
    ],
)
def test_data_are_one_dimensional_and_of_the_channels_type(
    schema: ChannelSchema, value: Any, data: list[Any], dtype: type
) -> None:
    found = to_data(schema, value)
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype, found.tolist()) == ((len(data),), np.dtype(dtype), data)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("text", [b"text"]),
        ("5 µV", ["5 µV".encode()]),
        (None, []),
        (b"raw", [b"raw"]),
        ({"vendor": None}, [b'{"vendor": null}']),
        (2.5, [b"2.5"]),
        (Colour.RED, [b"RED"]),
    ],
)
def test_text_is_a_list_of_bytes(value: Any, data: list[bytes]) -> None:
    assert to_data(STRING, value) == data


def test_large_arrays_are_not_copied() -> None:
    array = np.arange(12.0).reshape(3, 4)
    assert np.shares_memory(to_data(of(array), array), array)
    waves = np.arange(4) * 1j
    data = to_data(of(waves), waves)
    assert np.shares_memory(data, waves)
    assert np.array_equal(data, [0, 0, 0, 1, 0, 2, 0, 3])


def test_a_complex_number_is_two_numbers() -> None:
    schema = of(1 + 2j)
    assert (schema.type, schema.count, schema.is_array) == (ChannelType.DOUBLE, 2, True)
    assert to_data(schema, 1 + 2j).tolist() == [1.0, 2.0]  # type: ignore[union-attr]
    assert to_data(schema, 5.0).tolist() == [5.0, 0.0]  # type: ignore[union-attr]
    assert to_value(schema, [1, 2]) == 1 + 2j


def test_a_word_among_numbers_is_no_number_and_can_be_written() -> None:
    assert np.isnan(to_data(WORDS, "MIN")[0])
    assert to_value(WORDS, "MAX") == "MAX"
    assert to_value(WORDS, b"MIN") == "MIN"
    assert to_value(WORDS, "1.5") == 1.5


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (DOUBLE, "1.5"),
        (DOUBLE, {"a": 1}),
        (DOUBLE, 1j),
        (DOUBLE, object()),
        (LONG, float("nan")),
        (LONG, 2**70),
        (BOOL, "maybe"),
        (RANGES, 5),
        (RANGES, np.arange(3)),
    ],
)
def test_what_has_no_form_in_a_channel_is_refused(schema: ChannelSchema, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{schema.path}: "):
        to_data(schema, value)


@pytest.mark.parametrize(
    ("schema", "data", "value"),
    [
        (DOUBLE, [1], 1.0),
        (DOUBLE, 1, 1.0),
        (DOUBLE, (2.5,), 2.5),
        (DOUBLE, np.array([2.5], ">f8"), 2.5),
        (DOUBLE, np.float32(0.5), 0.5),
        (DOUBLE, "1e3", 1000.0),
        (DOUBLE, [b"2"], 2.0),
        (DOUBLE, True, 1.0),
        (LONG, 3.0, 3),
        (LONG, "12", 12),
        (LONG, 2**60 + 1, 2**60 + 1),
        (BOOL, 1, True),
        (BOOL, "on", True),
        (BOOL, b"Off", False),
        (BOOL, [b"on"], True),
        (BOOL, True, True),
        (BOOL, "true", True),
        (BOOL, "0", False),
        (RANGES, 1, 10),
        (RANGES, "10", 10),
        (RANGES, "high", 10),
        (STRING, "text", "text"),
        (STRING, b"text", "text"),
        (STRING, [b"text"], "text"),
        (STRING, 5, "5"),
        (STRING, "µ".encode(), "µ"),
        (channel(ChannelType.STRING, keys=[Colour.RED, Colour.BLUE]), "BLUE", Colour.BLUE),
    ],
)
def test_what_somebody_writes_becomes_the_parameters_value(
    schema: ChannelSchema, data: Any, value: Any
) -> None:
    found = to_value(schema, data)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("schema", "data", "text"),
    [
        (DOUBLE, [1, 2], "takes one element, not 2"),
        (DOUBLE, [], "takes one element, not 0"),
        (DOUBLE, "fast", "'fast' is no number"),
        (DOUBLE, None, "None is no number"),
        (LONG, 2.5, "2.5 is no whole number"),
        (LONG, "two", "'two' is no whole number"),
        (LONG, float("inf"), "inf is no whole number"),
        (BOOL, 2, "2 is none of its choices; they are 0 'Off', 1 'On'"),
        (BOOL, -1, "-1 is none"),
        (BOOL, 0.5, "0.5 is none"),
        (RANGES, "5", "'5' is none of its choices; they are 0 '1', 1 '10'"),
        (channel(count=3, is_array=True), [1, 2, 3, 4], "at most 3 elements, not 4"),
        (channel(count=3, is_array=True), ["a"], "is no array of DOUBLE elements"),
        (channel(ChannelType.STRING, count=1, is_array=True), ["a", "b"], "at most 1 elements, not 2"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_remedy(schema: ChannelSchema, data: Any, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        to_value(schema, data)
    assert str(caught.value).startswith("dac.")
    assert text in str(caught.value)


def test_arrays_arrive_in_the_drivers_type_and_shape() -> None:
    schema = channel(
        **{key: value for key, value in array_kind(np.dtype("<i4"), (2, 3)).items() if key != "type"}
    )
    written = to_value(schema, [1.0, 2, 3, 4, 5, 6])
    assert (written.dtype, written.shape) == (np.dtype("<i4"), (2, 3))
    short = to_value(schema, (1, 2))
    assert short.tolist() == [1, 2]
    assert to_value(schema, 5).tolist() == [5]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ([1.5, 2.5], [3.0, 4.0]),
        ((1, 2), [3, 4]),
        (["a", "b"], ["c", "d"]),
        (b"ab", b"cd"),
    ],
)
def test_lists_and_bytes_stay_what_they_are(value: Any, written: Any) -> None:
    schema = of(value)
    assert schema.is_array
    data = to_data(schema, written)
    back = to_value(schema, data)
    assert (type(back), back) == (type(written), written)


def test_a_complex_array_is_written_by_numbers_or_by_pairs() -> None:
    schema = of(np.array([1j, 2]))
    assert schema.count == 4
    assert to_value(schema, [1, 2, 3, 4]).tolist() == [1 + 2j, 3 + 4j]
    assert to_value(schema, np.array([1 + 2j])).tolist() == [1 + 2j]


@pytest.mark.parametrize(
    ("value", "kind", "count", "is_array"),
    [
        (True, ChannelType.ENUM, 1, False),
        (Colour.RED, ChannelType.ENUM, 1, False),
        (3, ChannelType.LONG, 1, False),
        (np.int16(3), ChannelType.INT, 1, False),
        (np.uint8(3), ChannelType.CHAR, 1, False),
        (2.5, ChannelType.DOUBLE, 1, False),
        (np.float32(2.5), ChannelType.FLOAT, 1, False),
        ("text", ChannelType.STRING, 1, False),
        ({"a": 1}, ChannelType.STRING, 1, False),
        ([1, "a", None], ChannelType.STRING, 1, False),
        ([[1], [2, 3]], ChannelType.STRING, 1, False),
        ([], ChannelType.DOUBLE, 0, True),
        (range(3), ChannelType.LONG, 3, True),
        (np.zeros((2, 2), np.float32), ChannelType.FLOAT, 4, True),
        (np.array(["a", "b", "c"]), ChannelType.STRING, 3, True),
        (np.zeros(3, bool), ChannelType.CHAR, 3, True),
    ],
    ids=repr,
)
def test_a_value_tells_the_type_of_its_channel(value: Any, kind: int, count: int, is_array: bool) -> None:
    schema = of(value)
    assert (schema.type, schema.count, schema.is_array) == (kind, count, is_array)
    to_data(schema, value)


def test_only_a_guess_is_refined() -> None:
    guess = channel(is_guessed=True)
    assert refine(guess, "text").type == ChannelType.STRING
    assert refine(guess, None) is guess
    assert refine(DOUBLE, "text") is DOUBLE
    assert not refine(guess, {"a": 1}).settable


@pytest.mark.parametrize(
    ("latest", "data", "value"),
    [
        (None, "text", "text"),
        (None, b"text", "text"),
        (None, [5], 5),
        (None, np.array([2.5]), 2.5),
        (None, [1, 2], [1, 2]),
        (2.5, 7, 7),
        (False, "on", True),
        (False, "maybe", "maybe"),
        ([1, 2], [3, 4, 5], [3, 4, 5]),
        ("text", 5, 5),
    ],
)
def test_a_parameter_that_may_take_anything_is_set_to_what_was_written(
    latest: Any, data: Any, value: Any
) -> None:
    schema = refine(channel(is_guessed=True), latest)._replace(is_guessed=True)
    found = to_value(schema, data)
    assert (type(found), found) == (type(value), value)


def test_more_choices_than_channel_access_has_are_text() -> None:
    many = ChannelSchema("dac.x")._replace(**choices_kind([f"c{number}" for number in range(17)]))
    assert (many.type, many.choices) == (ChannelType.STRING, [])
    assert to_value(many, "c16") == "c16"
    numbers = ChannelSchema("dac.x")._replace(**choices_kind([None, *range(17)]))
    assert to_value(numbers, "16") == 16
