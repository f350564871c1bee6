from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest

from instrumentserver.client.subscription import Update
from instrumentserver.context import AlarmSeverity, ChannelType, EventAddResponse, ReadNotifyResponse
from instrumentserver.context.data_types import NATIVE, wanted_type
from instrumentserver.context.response import MessageHeader, WriteNotifyResponse
from instrumentserver.schema import ChannelSchema

SCHEMA = ChannelSchema("dac.x", int(ChannelType.DOUBLE), unit="µV", lower=-5.0, upper=5.0, precision=3)
MODE = ChannelSchema("dac.mode", int(ChannelType.ENUM), choices=["dc", "ac"], keys=["dc", "ac"])


def read(
    schema: ChannelSchema, value: Any, data_type: Any = None, count: int | None = None
) -> ReadNotifyResponse:
    return ReadNotifyResponse(schema, value, 1000.25, wanted_type(data_type), count)


def test_a_response_has_data_type_count_and_status() -> None:
    response = read(SCHEMA, 1.5)
    assert isinstance(response.data, np.ndarray)
    assert response.data.tolist() == [1.5]
    assert (response.data_type, response.data_count) == (ChannelType.DOUBLE, 1)
    assert (response.status.name, response.status.code) == ("ECA_NORMAL", 0)


@pytest.mark.parametrize("data_type", [None, "time", "control", ChannelType.STRING])
def test_metadata_are_always_there(data_type: Any) -> None:
    metadata = read(SCHEMA, 1.5, data_type).metadata
    assert metadata.timestamp == 1000.25
    assert (metadata.severity, metadata.status) == (AlarmSeverity.NO_ALARM, "")
    assert (metadata.units, metadata.precision, metadata.enum_strings) == ("µV".encode(), 3, ())
    for kind in ("ctrl", "disp", "warning", "alarm"):
        assert (getattr(metadata, f"lower_{kind}_limit"), getattr(metadata, f"upper_{kind}_limit")) == (-5, 5)


def test_no_limit_is_infinity() -> None:
    metadata = read(SCHEMA._replace(lower=None, upper=None), 1.5).metadata
    assert (metadata.lower_ctrl_limit, metadata.upper_ctrl_limit) == (-math.inf, math.inf)


def test_choices_are_bytes() -> None:
    response = read(MODE, "ac", "graphic")
    assert (list(response.data), response.data_type) == ([1], ChannelType.GR_ENUM)
    assert response.metadata.enum_strings == (b"dc", b"ac")


def test_a_choice_as_string_is_its_label() -> None:
    assert read(MODE, "ac", ChannelType.STRING).data == [b"ac"]


def test_a_response_has_bytes_a_head_and_buffers() -> None:
    response = read(SCHEMA, 1.5)
    head = response.header
    assert isinstance(head, ctypes.BigEndianStructure)
    assert (head.command, head.data_type, head.data_count) == (15, ChannelType.DOUBLE, 1)
    raw = bytes(response)
    assert raw == bytes(head) + b"".join(response.buffers)
    assert len(raw) == ctypes.sizeof(MessageHeader) + head.payload_size
    assert raw.endswith(np.float64(1.5).tobytes())
    assert bytes(read(SCHEMA._replace(type=int(ChannelType.STRING)), "hello")).endswith(b"hello\0")
    assert len(bytes(read(SCHEMA, None))) > 0


def test_large_arrays_are_views_in_data_and_buffers() -> None:
    array = np.arange(1000.0)
    response = read(SCHEMA._replace(is_array=True, count=1000, dtype="<f8"), array)
    assert isinstance(response.data, np.ndarray)
    assert np.shares_memory(response.data, array)
    assert np.shares_memory(np.frombuffer(response.buffers[1]), array)


def test_a_guessed_type_is_that_of_the_value() -> None:
    response = read(ChannelSchema("dac.x", is_guessed=True), "hello")
    assert (response.data, response.data_type) == ([b"hello"], ChannelType.STRING)


def test_an_update_knows_what_was_lost_and_what_failed() -> None:
    response = EventAddResponse(SCHEMA, Update(1.5, 2000.0, 7, 3, "OSError: dead"), NATIVE, None)
    assert (response.sequence, response.dropped, response.failure) == (7, 3, "OSError: dead")
    assert response.metadata.severity is AlarmSeverity.INVALID_ALARM
    assert (response.metadata.status, response.metadata.timestamp) == ("OSError: dead", 2000.0)
    good = EventAddResponse(SCHEMA, Update(1.5, 2000.0, 7), NATIVE, None)
    assert good.metadata.severity is AlarmSeverity.NO_ALARM


def test_a_response_reads_as_what_it_is() -> None:
    text = repr(read(SCHEMA, 1.5))
    assert text.startswith(
        "ReadNotifyResponse(data=array([1.5]), data_type=<ChannelType.DOUBLE: 6>, data_count=1, status=ECA_NORMAL"
    )
    assert "lower_ctrl_limit=-5.0" in text
    written = WriteNotifyResponse(SCHEMA, ChannelType.DOUBLE, 1, 0.0)
    assert repr(written) == (
        "WriteNotifyResponse(data_type=<ChannelType.DOUBLE: 6>, data_count=1, status=ECA_NORMAL)"
    )
    assert written.metadata.units == "µV".encode()


def test_a_response_takes_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        read(SCHEMA, 1.5).note = "mine"  # type: ignore[attr-defined]
