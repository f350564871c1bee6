"""Bytes of pull sockets, without sockets."""

from __future__ import annotations

import json
import random

import pytest

from instrumentserver.sockets.constants import OLD_DATA
from instrumentserver.sockets.failures import Refused
from instrumentserver.sockets.pull.codec import (
    COMMANDS,
    decode_request,
    encode_json,
    encode_raw,
    encode_raw_with_names,
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
    assert encode_raw([(1, 2.5), OLD_DATA, "xy"]) == b"1,2.5;OLD_DATA;x,y"
    assert encode_raw([]) == b""
    assert encode_raw_with_names({"a": (1, 2), "b": OLD_DATA}) == b"a:1,2;b:OLD_DATA"
    assert encode_json([(1, 2), OLD_DATA]) == b'[[1, 2], "OLD_DATA"]'


@pytest.mark.parametrize("point", [(), (1,), 5, (1, "µ")])
def test_point_without_form_raises(point: object) -> None:
    with pytest.raises((IndexError, TypeError, UnicodeEncodeError)):
        encode_raw([point])


@pytest.mark.parametrize(
    "x", [0.0, -0.0, 1e300, 5e-324, 1e16, 0.1, float("inf"), float("-inf"), float("nan")]
)
def test_points_of_floats_are_encoded_as_json_does(x: float) -> None:
    assert encode_json((x, 1.5)) == json.dumps((x, 1.5)).encode()
    assert encode_json((1.5, x)) == json.dumps((1.5, x)).encode()
