"""Bytes of push sockets, without sockets."""

from __future__ import annotations

import ast
import random

import pytest
from sockets.contract import PUSH, RETURNED, Push, Returned

from instrumentserver.sockets.failures import Refused
from instrumentserver.sockets.push.codec import (
    copied,
    decode_push,
    encode_ack,
    encode_exception,
    encode_return,
)

# Longer requests reach the codec cut.
DECODED = [row for row in PUSH if row.stored is not None and len(row.request) <= 8192]


@pytest.mark.parametrize("row", DECODED, ids=lambda row: row.id)
def test_push_is_decoded(row: Push) -> None:
    data = decode_push(row.request.decode())
    assert data == row.stored
    if row.reply is not None:
        assert encode_ack(data).encode() == row.reply


@pytest.mark.parametrize("row", RETURNED, ids=lambda row: row.id)
def test_result_is_encoded(row: Returned) -> None:
    assert encode_return(row.value, row.return_format).encode() == row.reply


@pytest.mark.parametrize("value", [[], [1, 2], [[1], [2.0]], {"a": []}, (1,), "x", [[]], {"a": [None]}])
def test_result_without_raw_form_is_an_exception_text(value: object) -> None:
    assert encode_return(value, "raw").startswith("EXCEP#Raw conversion failed with message:")


def test_result_that_cannot_be_printed_is_an_exception_text() -> None:
    class Shy:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert encode_return(Shy(), "string") == "EXCEP#no"
    assert encode_exception(ValueError("off")) == "EXCEP#off"


def test_copy_shares_nothing() -> None:
    data = decode_push('json_wn#{"a": [[1], {"b": [2]}]}')
    copy = copied(data)
    assert copy == data
    copy["a"][1]["b"].append(3)
    assert data == {"a": [[1], {"b": [2]}]}


def test_hostile_text_is_refused_or_understood() -> None:
    chance = random.Random(6)
    parts = ["json_wn", "raw_wn", "#", "{", "}", '"', ":", ";", ",", "int", "str", "1", "[", "]", "a", "\0"]
    for _ in range(5000):
        text = "".join(chance.choices(parts, k=chance.randrange(1, 12)))
        try:
            data = decode_push(text)
        except Refused as refused:
            assert refused.reply.startswith("ERROR#")
        else:
            assert ast.literal_eval(encode_ack(data).removeprefix("ACK#")) == data
