"""Responses: what a server answered, with everything that is known about it."""

from __future__ import annotations

import ctypes
import enum
import math
import struct
from typing import Any, Final, NamedTuple

import numpy as np

from instrumentserver.client.subscription import Update
from instrumentserver.schema import ChannelSchema, ChannelType, refine, to_data

from .data_types import Wanted, convert

__all__ = [
    "AlarmSeverity",
    "EventAddResponse",
    "MessageHeader",
    "Metadata",
    "ReadNotifyResponse",
    "StatusCode",
    "WriteNotifyResponse",
]

_META: Final = struct.Struct("!Hd")


class AlarmSeverity(enum.IntEnum):
    """How much a value can be trusted."""

    NO_ALARM = 0
    MINOR_ALARM = 1
    MAJOR_ALARM = 2
    INVALID_ALARM = 3


class StatusCode(NamedTuple):
    """How a request went."""

    name: str
    code: int
    description: str


_NORMAL: Final = StatusCode("ECA_NORMAL", 0, "Normal successful completion")


class MessageHeader(ctypes.BigEndianStructure):
    """The head of a response in bytes: what it answers, and how much follows."""

    _pack_ = 1
    _fields_ = [
        ("command", ctypes.c_uint16),
        ("data_type", ctypes.c_uint16),
        ("data_count", ctypes.c_uint32),
        ("payload_size", ctypes.c_uint64),
    ]


class Metadata(NamedTuple):
    """What is known about a value.

    Attributes:
        timestamp: When it was read or changed, seconds since 1970 by the server's clock.
        severity: INVALID_ALARM where reading failed; the value is the latest good one then.
        status: What went wrong, "" for nothing.
        units: The unit, in UTF-8.
        precision: Digits after the point to show.
        enum_strings: What the choices are called, in UTF-8; empty unless it is one.
        lower_ctrl_limit: The smallest value that can be set, in the channel's unit; minus infinity without limit.
        upper_ctrl_limit: The largest value that can be set, in the channel's unit; infinity without limit.
        lower_disp_limit: As `lower_ctrl_limit`; so are the limits of warnings and alarms.
        upper_disp_limit: As `upper_ctrl_limit`; so are the limits of warnings and alarms.
    """

    timestamp: float
    severity: AlarmSeverity
    status: str
    units: bytes
    precision: int
    enum_strings: tuple[bytes, ...]
    lower_ctrl_limit: float
    upper_ctrl_limit: float
    lower_disp_limit: float
    upper_disp_limit: float
    lower_warning_limit: float
    upper_warning_limit: float
    lower_alarm_limit: float
    upper_alarm_limit: float


class _Response:
    """What a server answered.

    Attributes:
        data_type: The `ChannelType` of the answer, with its block.
        data_count: How many elements there are.
        status: How the request went; one that failed raises instead.
    """

    __slots__ = ("_metadata", "_schema", "_timestamp", "data_count", "data_type", "status")

    _COMMAND = 0

    def __init__(
        self, schema: ChannelSchema, data_type: ChannelType, data_count: int, timestamp: float
    ) -> None:
        self._schema = schema
        self._timestamp = timestamp
        self._metadata: Metadata | None = None
        self.data_type = data_type
        self.data_count = data_count
        self.status = _NORMAL

    @property
    def metadata(self) -> Metadata:
        """Time, alarm, unit, limits and choices, whatever type was asked for."""
        if self._metadata is None:
            schema = self._schema
            lower = -math.inf if schema.lower is None else schema.lower
            upper = math.inf if schema.upper is None else schema.upper
            severity, status = self._alarm()
            self._metadata = Metadata(
                self._timestamp,
                severity,
                status,
                schema.unit.encode(),
                schema.precision,
                tuple(choice.encode() for choice in schema.choices),
                *(4 * (lower, upper)),
            )
        return self._metadata

    @property
    def header(self) -> MessageHeader:
        """The head of this response."""
        size = sum(memoryview(buffer).nbytes for buffer in self.buffers)
        return MessageHeader(self._COMMAND, int(self.data_type), self.data_count, size)

    @property
    def buffers(self) -> tuple[bytes | memoryview, ...]:
        """What follows the head: severity and timestamp, then the data, a view of them where they are numbers."""
        return (_META.pack(self._alarm()[0], self._timestamp), *self._data_buffers())

    def _alarm(self) -> tuple[AlarmSeverity, str]:
        return AlarmSeverity.NO_ALARM, ""

    def _data_buffers(self) -> tuple[bytes | memoryview, ...]:
        return ()

    def __bytes__(self) -> bytes:
        return b"".join((bytes(self.header), *self.buffers))

    def _fields(self) -> str:
        return f"data_type={self.data_type!r}, data_count={self.data_count}, status={self.status.name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._fields()})"


class ReadNotifyResponse(_Response):
    """The answer to a read.

    Attributes:
        data: The value, one-dimensional: an array, which is a view of what was received where that was large, or a
            list of `bytes` for text. In the channel's unit.
    """

    __slots__ = ("data",)

    _COMMAND = 15

    def __init__(
        self, schema: ChannelSchema, value: Any, timestamp: float, wanted: Wanted, count: int | None
    ) -> None:
        schema = refine(schema, value)
        self.data: np.ndarray[Any, Any] | list[bytes] = convert(schema, to_data(schema, value), wanted, count)
        super().__init__(schema, wanted.type_of(schema), len(self.data), timestamp)

    def _data_buffers(self) -> tuple[bytes | memoryview, ...]:
        if isinstance(self.data, list):
            return tuple(text + b"\0" for text in self.data)
        return (np.ascontiguousarray(self.data).data.cast("B"),) if self.data.size else ()

    def _fields(self) -> str:
        return f"data={self.data!r}, {super()._fields()}, metadata={self.metadata}"


class EventAddResponse(ReadNotifyResponse):
    """An update of a subscription.

    Attributes:
        sequence: Counts the parameter's changes on its server.
        dropped: Updates that were lost directly before this one, a count.
        failure: Why the server could not read the parameter, None if it could.
    """

    __slots__ = ("dropped", "failure", "sequence")

    _COMMAND = 1

    def __init__(self, schema: ChannelSchema, update: Update, wanted: Wanted, count: int | None) -> None:
        super().__init__(schema, update.value, update.timestamp, wanted, count)
        self.sequence = update.sequence
        self.dropped = update.dropped
        self.failure = update.failure

    def _alarm(self) -> tuple[AlarmSeverity, str]:
        return (AlarmSeverity.INVALID_ALARM, self.failure) if self.failure else super()._alarm()


class WriteNotifyResponse(_Response):
    """The answer to a write: the driver has set the parameter."""

    __slots__ = ()

    _COMMAND = 19
