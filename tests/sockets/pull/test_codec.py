"""Bytes of pull sockets, without sockets."""

from __future__ import annotations

import random

import pytest

from instrumentserver.sockets.constants import OLD_DATA
from instrumentserver.sockets.failures import Refused
from instrumentserver.sockets.pull.codec import (
    COMMANDS,
    decode_request,
    encode_json,
    encode_raw,
)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_is_decoded(command: str) -> None:
    assert decode_request(command.encode()) == (command, None)


@pytest.mark.parametrize("request_", [b"a#raw", b"a b#json", b"raw#raw", b"#json"])
def test_codename_is_decoded(request_: bytes) -> None:
    codename, _, form = request_.decode().partition("#")
    assert decode_request(request_) == (form, codename)


def test_hostile_bytes_are_refused_or_not_ascii() -> None:
    chance = random.Random(6)
    for _ in range(5000):
        request = bytes(chance.choices(b"rawjson_#\xe4\x00,:;", k=chance.randrange(12)))
        try:
            command, codename = decode_request(request)
        except (Refused, UnicodeDecodeError):
            continue
        assert request.decode() == (command if codename is None else f"{codename}#{command}")


def test_points_are_encoded() -> None:
    assert encode_raw((1, 2.5)) == b"1,2.5"
    assert encode_raw("xy") == b"x,y"
    assert encode_raw(OLD_DATA) == b"OLD_DATA"
    assert encode_json([(1, 2), OLD_DATA]) == b'[[1, 2], "OLD_DATA"]'


@pytest.mark.parametrize("point", [(), (1,), 5, (1, "µ")])
def test_point_without_form_raises(point: object) -> None:
    with pytest.raises((IndexError, TypeError, UnicodeEncodeError)):
        encode_raw(point)
