"""Readings: values in the form in which both protocols tell them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instrumentserver.gateways.epics.reading import INVALID, NO_ALARM, READ, UDF, Alarm, read_data, shown
from instrumentserver.schema import ChannelSchema, ChannelType


def test_number_is_read() -> None:
    reading = read_data(ChannelSchema("a.b"), 1.5, 10.0)
    assert (list(reading.data), reading.timestamp, reading.alarm) == ([1.5], 10.0, NO_ALARM)


@pytest.mark.parametrize(
    ("kind", "nothing"),
    [(ChannelType.DOUBLE, [np.nan]), (ChannelType.LONG, [0]), (ChannelType.STRING, [b""])],
)
def test_no_value_is_an_alarm(kind: ChannelType, nothing: list[Any]) -> None:
    reading = read_data(ChannelSchema("a.b", int(kind)), None, 10.0)
    np.testing.assert_array_equal(reading.data, nothing)
    assert reading.alarm[:2] == (INVALID, UDF)


def test_no_array_is_an_empty_one() -> None:
    reading = read_data(ChannelSchema("a.b", count=3, is_array=True), None, 10.0)
    assert (len(reading.data), reading.alarm) == (0, NO_ALARM)


def test_value_that_the_channel_cannot_have_is_an_alarm_with_the_reason() -> None:
    reading = read_data(ChannelSchema("a.b"), "a text", 10.0)
    assert reading.alarm[:2] == (INVALID, READ)
    assert "'a text'" in reading.alarm.message


def test_alarms_are_alike_whatever_they_say() -> None:
    assert Alarm(3, 1, "one").is_like(Alarm(3, 1, "two"))
    assert not Alarm(3, 1).is_like(Alarm(3, 9))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first line\nsecond line"), "first line"),
        (ValueError("what is wrong", "while doing it"), "what is wrong"),
        (KeyError(), "KeyError"),
        (ValueError("x" * 300), "x" * 197 + "..."),
    ],
)
def test_errors_are_shown_in_one_line(error: Exception, text: str) -> None:
    assert shown(error) == text
