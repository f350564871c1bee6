"""Readings: what is known of a parameter at one time, in the form in which both protocols tell it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, ChannelType
from instrumentserver.schema.channel_values import to_data

__all__ = ["COMM", "INVALID", "NO_ALARM", "READ", "UDF", "Alarm", "Reading", "read_data", "shown"]

INVALID: Final = 3
"""The severity of a value that must not be used."""
READ: Final = 1
COMM: Final = 9
UDF: Final = 17
"""Alarm statuses of Channel Access: reading failed, the server is gone, there is no value."""

_LONGEST: Final = 200


class Alarm(NamedTuple):
    """Why a value must not be used.

    Attributes:
        severity: 0 for no alarm, 3 for a value that must not be used.
        status: What is wrong, as Channel Access counts it.
        message: The same in words, one line.
    """

    severity: int = 0
    status: int = 0
    message: str = ""

    def is_like(self, other: Alarm) -> bool:
        """Return whether another alarm differs in its words at most."""
        return self[:2] == other[:2]


NO_ALARM: Final = Alarm()


class Reading(NamedTuple):
    """What a parameter has, since when, and whether it may be used.

    Attributes:
        data: One-dimensional: an array, or a list of bytes for text; see `to_data`.
        timestamp: Seconds since 1970.
        alarm: `NO_ALARM`, or why the data are old or none.
    """

    data: Any
    timestamp: float
    alarm: Alarm = NO_ALARM


def read_data(schema: ChannelSchema, value: Any, timestamp: float) -> Reading:
    """Return a value of a parameter as a reading; one without a form in its channel is in alarm.

    Args:
        schema: The channel.
        value: As `get` returns it.
        timestamp: Of the value, seconds since 1970.
    """
    try:
        data = to_data(schema, value)
    except UsageError as error:
        return Reading(_nothing(schema), timestamp, Alarm(INVALID, READ, shown(error)))
    if len(data) == 0 and not schema.is_array:
        return Reading(_nothing(schema), timestamp, Alarm(INVALID, UDF, "there is no value yet"))
    return Reading(data, timestamp)


def shown(error: object) -> str:
    """Return an error as one line that fits into a protocol's message."""
    # QCoDeS adds what it was doing as a second argument, which makes the text read like a tuple.
    said = error.args[0] if isinstance(error, Exception) and len(error.args) > 1 else error
    text = str(said).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _nothing(schema: ChannelSchema) -> Any:
    """Return data that stand for no value."""
    if schema.type == ChannelType.STRING:
        return [] if schema.is_array else [b""]
    count = 0 if schema.is_array else 1
    if schema.type in (ChannelType.DOUBLE, ChannelType.FLOAT):
        return np.full(count, np.nan)
    return np.zeros(count, np.int64)
