"""Datagrams of live sockets, read from bytes."""

from __future__ import annotations

import json
import math

import pytest

from instrumentserver.errors import ProtocolError
from instrumentserver.sockets.live.codec import Message, decode, encode_points, encode_reset

DEEP = b"[" * 16 + b"]" * 16


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b'{"host": "pc", "data": {"a": [1.5, 2]}}', Message("pc", {"a": (1.5, 2)}, [])),
        (b'{"data": {"a": "RESET", "b": "RESET"}}', Message(None, {}, ["a", "b"])),
        (b'{"host": "pc", "data": {"a": "RESET", "b": [1, null]}}', Message("pc", {"b": (1, None)}, ["a"])),
        (b'{"host": "pc", "data": {}, "more": 1}', Message("pc", {}, [])),
        (b'{"data": {}}', Message(None, {}, [])),
        ('{"host": "ä", "data": {"ö b": [1, "ü"]}}'.encode(), Message("ä", {"ö b": (1, "ü")}, [])),
        (
            b'{"host": "pc", "data": {"a": [1, {"b": [true, "x"]}]}}',
            Message("pc", {"a": (1, {"b": [True, "x"]})}, []),
        ),
        (b'{"host": "pc", "data": {"a": [1, 2], "a": [3, 4]}}', Message("pc", {"a": (3, 4)}, [])),
    ],
)
def test_message_is_what_the_bytes_say(datagram: bytes, message: Message) -> None:
    assert decode(datagram) == message


def test_what_a_live_socket_sends_is_read() -> None:
    points = {"a": (1795166981.43, 1.5), "b": (0, [1, "x", None])}
    assert decode(encode_points("pc", points)) == Message("pc", points, [])
    assert decode(encode_reset(["a", "b"])) == Message(None, {}, ["a", "b"])


def test_what_is_no_number_may_be_a_value() -> None:
    x, y = decode(b'{"host": "pc", "data": {"a": [NaN, -Infinity]}}').points["a"]
    assert math.isnan(x)
    assert y == -math.inf


def test_value_may_be_sixteen_deep() -> None:
    assert decode(b'{"host": "pc", "data": {"a": [1, ' + DEEP + b"]}}").points["a"][1] == json.loads(DEEP)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xff\xfe\x00",
        b"nonsense",
        b"raw#" * 100,
        b'{"host": "pc", "data": {"a": [1, 2]}',
        '{"host": "pc", "data": {"a": [1, 2]}}'.encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"data": {}}',
        b"null",
        b"[]",
        b"1",
        b"{}",
        b'{"host": "pc"}',
        b'{"host": "pc", "data": []}',
        b'{"host": "pc", "data": null}',
        b'{"data": {"a": [1, 2]}}',
        b'{"host": null, "data": {"a": [1, 2]}}',
        b'{"host": 5, "data": {"a": [1, 2]}}',
        b'{"host": "", "data": {}}',
        b'{"host": "a\\nb", "data": {}}',
        b'{"host": "\\ud800", "data": {}}',
        b'{"host": "' + b"h" * 201 + b'", "data": {}}',
        b'{"host": "pc", "data": {"": [1, 2]}}',
        b'{"host": "pc", "data": {"a\\u0000": [1, 2]}}',
        b'{"host": "pc", "data": {"' + b"c" * 201 + b'": [1, 2]}}',
        b'{"data": {"a\\tb": "RESET"}}',
        b'{"host": "pc", "data": {"a": 5}}',
        b'{"host": "pc", "data": {"a": "reset"}}',
        b'{"host": "pc", "data": {"a": {"x": 1}}}',
        b'{"host": "pc", "data": {"a": []}}',
        b'{"host": "pc", "data": {"a": [1]}}',
        b'{"host": "pc", "data": {"a": [1, 2, 3]}}',
        b'{"host": "pc", "data": {"a": [null, 2]}}',
        b'{"host": "pc", "data": {"a": [true, 2]}}',
        b'{"host": "pc", "data": {"a": ["1", 2]}}',
        b'{"host": "pc", "data": {"a": [[1], 2]}}',
        b'{"host": "pc", "data": {"a": [1' + b"0" * 400 + b", 2]}}",
        b'{"host": "pc", "data": {"a": [1, 1' + b"0" * 5000 + b"]}}",
        b'{"host": "pc", "data": {"a": [1, "\\udc00"]}}',
        b'{"host": "pc", "data": {"a": [1, {"\\udc00": 1}]}}',
        b'{"host": "pc", "data": {"a": [1, [' + DEEP + b"]]}}",
        b"[" * 65000,
        b'{"a":' * 13000,
        b'{"host": "pc", "data": {"a": [1, 2], "b": [1]}}',
    ],
    ids=range(43),
)
def test_what_no_live_socket_sends_is_refused_as_a_whole(datagram: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(datagram)
    assert len(str(caught.value)) < 500
