"""Channels for caproto's server: parameters, with the types and the metadata that Channel Access has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from caproto import (
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    CaprotoKeyError,
    ChannelByte,
    ChannelData,
    ChannelDouble,
    ChannelEnum,
    ChannelFloat,
    ChannelInteger,
    ChannelShort,
    ChannelString,
    TimeStamp,
)
from caproto import ChannelType as CaType

from instrumentserver.schema import ChannelSchema, ChannelType

from .ca_payload import can_pack, pack
from .feed import Feed
from .reading import INVALID, NO_ALARM, Alarm, Reading, read_data

__all__ = ["ServedChannel", "new_channel"]

_ENCODING: Final = "utf-8"
_LONGEST_UNIT: Final = 8
_LONGEST_CHOICE: Final = 25
_LONGEST_TEXT: Final = 40
_LONGEST_LONG_TEXT: Final = 32_768
"""Bytes that Channel Access has for a unit, a choice and a text, and that we have for a long text."""
_LARGEST: Final = {CaType.LONG: 2**31 - 1, CaType.INT: 2**15 - 1}


class ServedChannel(ChannelData):
    """A parameter as a channel of caproto's server; stands before one of caproto's classes for types of channels.

    All methods are for the server's event loop, but `post`.

    Attributes:
        feed: Reads, writes and follows the parameter.
        pass_on: Takes readings to the event loop.
        monitors: Who is sent updates.
        has_reading: Whether those who watch have been sent one.
        reading: The latest reading.
    """

    feed: Feed
    pass_on: Callable[[ServedChannel, Reading], None]
    monitors: dict[Any, Any]
    has_reading: bool
    reading: Reading
    _fitted: Any
    _is_filled: bool
    _packed: dict[tuple[int, int], tuple[bytes, int]]
    _watchers: set[Any]
    _fields: dict[str, ChannelData]

    # What it has

    def take(self, reading: Reading) -> None:
        """Take over a reading, without telling anybody."""
        self._fitted, is_cut = self._fit(reading.data)
        if is_cut and not reading.alarm.severity:
            alarm = Alarm(INVALID, int(AlarmStatus.CALC), "Channel Access has no such large numbers")
            reading = reading._replace(alarm=alarm)
        self.reading = reading
        self._is_filled = False
        self._packed.clear()

    def take_read(self, reading: Reading) -> None:
        """Take over what was read for a client, unless something newer has been told meanwhile."""
        are_good = reading.alarm == self.reading.alarm == NO_ALARM
        if not are_good or reading.timestamp >= self.reading.timestamp:
            self.take(reading)

    def _fit(self, data: Any) -> tuple[Any, bool]:
        """Return data as the channel's type can have them, and whether numbers were too large."""
        if len(data) > self._max_length:
            data = data[: self._max_length]
        largest = _LARGEST.get(self.data_type)
        if largest is None or not len(data):
            return data, False
        fitted = np.clip(data, -largest - 1, largest)
        return fitted, not np.array_equal(fitted, data)

    def packed(self, data_type: int, count: int) -> tuple[bytes, int] | None:
        """Return the payload of an update and its number of elements, None where caproto has to make it.

        Args:
            data_type: The type in which a client wants it.
            count: Most elements; 0 for all.
        """
        found = self._packed.get((data_type, count))
        if found is None and can_pack(self.data_type, data_type):
            found = pack(self.data_type, data_type, self.reading, self._fitted, count)
            self._packed[data_type, count] = found
        return found

    async def _read(self, data_type: Any) -> Any:
        """Return metadata and data in a type, as caproto makes them."""
        self.fill()
        return await super()._read(data_type)

    def fill(self) -> None:
        """Hand the reading over to caproto."""
        if self._is_filled:
            return
        self._is_filled = True
        data, alarm = self._fitted, self.reading.alarm
        if self.data_type == CaType.STRING:
            data = [raw[:_LONGEST_LONG_TEXT].decode(_ENCODING, "replace") for raw in data]
        elif self.data_type == CaType.CHAR:
            data = np.asarray(data, np.uint8).tobytes()
        self._data["value"] = data if self.feed.schema.is_array or self.data_type == CaType.CHAR else data[0]
        self._data["timestamp"] = TimeStamp.from_flexible_value(self.reading.timestamp)
        self.alarm._data.update(
            status=AlarmStatus(alarm.status),
            severity=AlarmSeverity(alarm.severity),
            alarm_string=alarm.message[:39],
        )
        self._content.clear()

    def describe(self, schema: ChannelSchema) -> None:
        """Take over another unit, label or limits, without telling anybody."""
        self._data.update({key: value for key, value in _metadata(schema).items() if key in self._data})
        self._is_filled = False
        self._fields.clear()

    async def read_now(self) -> Reading:
        """Return a reading of the parameter that is made now."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading] = loop.create_future()
        self.feed.read(lambda reading: _tell(loop, answer, reading))
        return await answer

    async def write_now(self, data: Any, who: str) -> Exception | None:
        """Set the parameter; return why that was refused, None if it was done."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Exception | None] = loop.create_future()
        self.feed.write(data, who, lambda error: _tell(loop, answer, error))
        return await answer

    # Who watches

    def join(self, watcher: object) -> None:
        """Follow the parameter as long as there are watchers; the first reading is on its way to a first one."""
        if not self._watchers:
            self.has_reading = False
            self.feed.watch(self)
        self._watchers.add(watcher)

    def leave(self, watcher: object) -> None:
        """Follow the parameter no more if nobody else watches."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            if not self._watchers:
                self.feed.unwatch(self)

    def post(self, reading: Reading) -> None:
        """Pass a reading on to the event loop; for any thread."""
        self.pass_on(self, reading)

    # What caproto's server asks

    async def subscribe(self, queue: Any, sub_spec: Any, sub: Any) -> None:
        """Begin a monitor with filters, which caproto's server serves by itself; the first reading is a fresh one."""
        self.join(sub_spec)
        self.take_read(await self.read_now())
        self.fill()
        await super().subscribe(queue, sub_spec, sub)

    async def unsubscribe(self, queue: Any, sub_spec: Any) -> None:
        """End a monitor with filters."""
        await super().unsubscribe(queue, sub_spec)
        self.leave(sub_spec)

    def check_access(self, hostname: str | None, username: str | None) -> AccessRights:
        """Return what clients may do."""
        return AccessRights.READ | AccessRights.WRITE if self.feed.schema.settable else AccessRights.READ

    def get_field(self, field: str) -> ChannelData:
        """Return a field of the process variable, such as ``.DESC``, as records of EPICS have them.

        Raises:
            KeyError: There is no such field.
        """
        if field in ("", "VAL"):
            return self
        found = self._fields.get(field)
        if found is None:
            value = _field(self.feed, field)
            if value is None:
                raise CaprotoKeyError(f"{self.feed.name} has no field {field}")
            found = self._fields[field] = _ReadOnly(value)
        return found


def _tell(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], what: Any) -> None:
    def tell() -> None:
        if not answer.done():
            answer.set_result(what)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        pass  # The server has ended.


class _DoubleChannel(ServedChannel, ChannelDouble):
    """A float64."""


class _FloatChannel(ServedChannel, ChannelFloat):
    """A float32."""


class _LongChannel(ServedChannel, ChannelInteger):
    """An int32."""


class _IntChannel(ServedChannel, ChannelShort):
    """An int16."""


class _CharChannel(ServedChannel, ChannelByte):
    """Bytes."""


class _EnumChannel(ServedChannel, ChannelEnum):
    """One of few choices."""


class _StringChannel(ServedChannel, ChannelString):
    """Text."""


_CLASSES: Final[dict[int, type[Any]]] = {
    ChannelType.DOUBLE: _DoubleChannel,
    ChannelType.FLOAT: _FloatChannel,
    ChannelType.LONG: _LongChannel,
    ChannelType.INT: _IntChannel,
    ChannelType.CHAR: _CharChannel,
    ChannelType.ENUM: _EnumChannel,
    ChannelType.STRING: _StringChannel,
}


def new_channel(feed: Feed, pass_on: Callable[[ServedChannel, Reading], None]) -> ServedChannel:
    """Return the channel of a feed.

    Args:
        feed: Reads, writes and follows the parameter.
        pass_on: Takes readings that come from any thread to the event loop.
    """
    schema = feed.schema
    kind = ChannelType.DOUBLE if _exceeds_int32(schema) else ChannelType(schema.type)
    arguments: dict[str, Any] = {} if kind == ChannelType.CHAR else {"string_encoding": _ENCODING}
    if kind == ChannelType.ENUM:
        arguments.update(value=0, enum_strings=_choices(schema))
    elif kind == ChannelType.STRING:
        arguments.update(value="", long_string_max_length=_LONGEST_LONG_TEXT)
    else:
        arguments.update(_metadata(schema), value=b"\x00" if kind == ChannelType.CHAR else 0)
        if kind not in (ChannelType.DOUBLE, ChannelType.FLOAT):
            arguments.pop("precision")
        if kind == ChannelType.CHAR:
            arguments["strip_null_terminator"] = False
    channel: ServedChannel = _CLASSES[kind](
        max_length=max(1, schema.count) if schema.is_array else 1, **arguments
    )
    channel.feed = feed
    channel.pass_on = pass_on
    channel.monitors = {}
    channel._packed = {}
    channel._watchers = set()
    channel._fields = {}
    channel.has_reading = False
    channel.take(read_data(schema, None, 0.0))
    return channel


def _exceeds_int32(schema: ChannelSchema) -> bool:
    """Return whether a whole number may be larger than Channel Access has whole numbers."""
    limits = [limit for limit in (schema.lower, schema.upper) if limit is not None]
    return schema.type == ChannelType.LONG and any(abs(limit) > _LARGEST[CaType.LONG] for limit in limits)


def _metadata(schema: ChannelSchema) -> dict[str, Any]:
    """Return unit, limits and precision by caproto's names; limits are 0 where there are none."""
    is_limited = schema.lower is not None and schema.upper is not None
    lower, upper = (schema.lower, schema.upper) if is_limited else (0, 0)
    if schema.type not in (ChannelType.DOUBLE, ChannelType.FLOAT):
        lower, upper = int(lower or 0), int(upper or 0)
    is_controlled = schema.settable
    return {
        "units": _cut(schema.unit, _LONGEST_UNIT),
        "precision": schema.precision,
        "lower_disp_limit": lower,
        "upper_disp_limit": upper,
        "lower_ctrl_limit": lower if is_controlled else 0,
        "upper_ctrl_limit": upper if is_controlled else 0,
    }


def _choices(schema: ChannelSchema) -> list[str]:
    """Return the choices as short as Channel Access wants them, each once."""
    found: list[str] = []
    for number, choice in enumerate(schema.choices):
        short = _cut(choice, _LONGEST_CHOICE)
        found.append(short if short not in found else f"{_cut(choice, _LONGEST_CHOICE - 3)}~{number}")
    return found


def _cut(text: str, size: int) -> str:
    """Return the beginning of a text that fits into a number of bytes."""
    return text.encode(_ENCODING)[:size].decode(_ENCODING, "ignore")


class _ReadOnly(ChannelString):
    """A field that says something about the parameter."""

    def __init__(self, value: str) -> None:
        super().__init__(value=value, string_encoding=_ENCODING)

    def check_access(self, hostname: str | None, username: str | None) -> AccessRights:
        """Return that clients may read."""
        return AccessRights.READ


def _field(feed: Feed, field: str) -> str | None:
    """Return a field that archivers and displays ask for, as text; None for any other."""
    schema = feed.schema
    if field == "DESC":
        return _cut(schema.label, _LONGEST_TEXT)
    if field == "NAME":
        return feed.name
    if field == "EGU":
        return _cut(schema.unit, _LONGEST_TEXT)
    return None
