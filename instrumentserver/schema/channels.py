"""Channels: parameters as clients of control systems see them, by name, of few types, with limits and labels."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

__all__ = ["ChannelSchema", "ChannelType"]


class ChannelType(enum.IntEnum):
    """Types of channels, with the numbers that Channel Access gives them.

    The first seven are types of values. The four blocks after them are the same seven with more beside the value:
    status, time, units and limits for display, limits for control.
    """

    STRING = 0
    INT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6
    STS_STRING = 7
    STS_INT = 8
    STS_FLOAT = 9
    STS_ENUM = 10
    STS_CHAR = 11
    STS_LONG = 12
    STS_DOUBLE = 13
    TIME_STRING = 14
    TIME_INT = 15
    TIME_FLOAT = 16
    TIME_ENUM = 17
    TIME_CHAR = 18
    TIME_LONG = 19
    TIME_DOUBLE = 20
    GR_STRING = 21
    GR_INT = 22
    GR_FLOAT = 23
    GR_ENUM = 24
    GR_CHAR = 25
    GR_LONG = 26
    GR_DOUBLE = 27
    CTRL_STRING = 28
    CTRL_INT = 29
    CTRL_FLOAT = 30
    CTRL_ENUM = 31
    CTRL_CHAR = 32
    CTRL_LONG = 33
    CTRL_DOUBLE = 34


class ChannelSchema(NamedTuple):
    """A parameter as a channel. Travels as a list of its fields.

    Attributes:
        path: The parameter's path, ``dac.ch1.v``.
        type: Its native `ChannelType`, one of the first seven.
        count: Most elements; 1 is a scalar, 0 an array of a length that is not known before it is read.
        is_array: Whether values have other numbers of elements than one. Complex numbers count as two.
        unit: Its unit.
        label: Its label.
        doc: What its driver says about it.
        lower: The smallest value that its validators take, None without limit.
        upper: The largest value that its validators take, None without limit.
        precision: Digits after the point to show.
        choices: What values are called where `type` is ENUM, else empty.
        keys: The value of the parameter for each choice. For other types: values beside the usual ones, such as
            "MIN" for a number.
        gettable: Whether it can be read.
        settable: Whether it can be set.
        poll_period: How often its driver wants it read while somebody watches it, seconds; None for never.
        dtype: Numpy's text for the type of array elements, or of complex numbers; "" for other scalars.
        shape: The shape of arrays where it is known, else empty.
        is_list: Whether arrays are lists to the parameter.
        aliases: More values that mean one of the choices, each with the number of the choice.
        is_guessed: Whether the type follows from nothing but the latest value, or from nothing at all.
    """

    path: str
    type: int = int(ChannelType.DOUBLE)
    count: int = 1  # type: ignore[assignment]  # instead of the method of tuples, which nobody needs here
    is_array: bool = False
    unit: str = ""
    label: str = ""
    doc: str = ""
    lower: float | None = None
    upper: float | None = None
    precision: int = 0
    choices: list[str] = []
    keys: list[Any] = []
    gettable: bool = True
    settable: bool = True
    poll_period: float | None = None
    dtype: str = ""
    shape: list[int] = []
    is_list: bool = False
    aliases: list[list[Any]] = []
    is_guessed: bool = False
