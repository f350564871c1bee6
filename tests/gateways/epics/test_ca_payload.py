"""Payloads of updates: byte for byte those of caproto."""

from __future__ import annotations

import asyncio
from typing import Any

import caproto as ca
import numpy as np
import pytest
from caproto import ChannelType as CaType
from served import FakeFeed

from instrumentserver.gateways.epics.ca_channel import ServedChannel, new_channel
from instrumentserver.gateways.epics.ca_payload import can_pack, update_header
from instrumentserver.gateways.epics.reading import COMM, INVALID, Alarm, Reading
from instrumentserver.schema import ChannelSchema, ChannelType

CASES: list[tuple[ChannelType, bool, Any]] = [
    (ChannelType.DOUBLE, False, np.array([1.5])),
    (ChannelType.DOUBLE, True, np.arange(1000.0)),
    (ChannelType.DOUBLE, True, np.arange(20_000.0)),
    (ChannelType.DOUBLE, True, np.empty(0)),
    (ChannelType.FLOAT, False, np.array([1.5], np.float32)),
    (ChannelType.LONG, False, np.array([-7])),
    (ChannelType.LONG, True, np.array([1, 2, 3])),
    (ChannelType.INT, True, np.array([1, 2, 3], np.int16)),
    (ChannelType.CHAR, True, np.arange(11, dtype=np.uint8)),
    (ChannelType.ENUM, False, np.array([1], np.uint16)),
    (ChannelType.STRING, False, [b"some text"]),
    (ChannelType.STRING, False, ["µ".encode() * 30]),
    (ChannelType.STRING, True, [b"one", b"two"]),
]
ALARMS = [Alarm(), Alarm(INVALID, COMM, "gone")]


def channel_of(kind: ChannelType, is_array: bool, data: Any) -> ServedChannel:
    """Return a channel that can have the data."""
    choices = ["a", "b"] if kind == ChannelType.ENUM else []
    schema = ChannelSchema("a.b", int(kind), max(1, len(data)), is_array, choices=choices)
    return new_channel(FakeFeed(schema), lambda channel, reading: None)  # type: ignore[arg-type]


async def made_by_caproto(channel: ServedChannel, kind: CaType, count: int) -> bytes:
    """Return an update as caproto makes it."""
    metadata, data = await channel._read(kind)
    data = data[:count] if count else data
    return bytes(ca.EventAddResponse(data, kind, len(data), 1, 5, metadata=metadata))


@pytest.mark.parametrize("alarm", ALARMS)
@pytest.mark.parametrize("block", [0, 7, 14])
@pytest.mark.parametrize(("kind", "is_array", "data"), CASES)
def test_update_is_as_caproto_makes_it(
    kind: ChannelType, is_array: bool, data: Any, block: int, alarm: Alarm
) -> None:
    channel = channel_of(kind, is_array, data)
    channel.take(Reading(data, 1_700_000_000.25, alarm))
    wanted = CaType(int(kind) + block)
    for count in (0, 1) if len(data) else (0,):
        packed = channel.packed(wanted, count)
        assert packed is not None
        payload, elements = packed
        update = update_header(wanted, len(payload), elements, 5) + payload
        assert update == asyncio.run(made_by_caproto(channel, wanted, count))


@pytest.mark.parametrize("wanted", [CaType.CTRL_DOUBLE, CaType.GR_DOUBLE, CaType.TIME_STRING, CaType.LONG])
def test_other_types_are_left_to_caproto(wanted: CaType) -> None:
    assert not can_pack(CaType.DOUBLE, wanted)
