"""Errors as one line that a datagram can hold."""

from __future__ import annotations

import pytest

from instrumentserver import ConnectFailed, RemoteError
from instrumentserver.sockets.bridge.words import ascii_text, one_line


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("Not settings for key: a"), "Not settings for key: a"),
        (ValueError("7 is too much", "Parameter: a.b", "setting a_b to 7"), "7 is too much; Parameter: a.b"),
        (RuntimeError("the fuse has blown", "getting a_b"), "the fuse has blown"),
        (KeyError("x"), "'x'"),
        (OSError(5, "no answer"), "[Errno 5] no answer"),
        (ValueError("a", 1), "('a', 1)"),
        (ValueError(), "ValueError"),
        (RuntimeError("first\nsecond"), "first"),
        (RuntimeError("\n  300 \xb0C"), "300 \\xb0C"),
        (RemoteError("it failed", "sdk.Failure"), "sdk.Failure: it failed"),
        (
            ConnectFailed("server 'a' is not running; the end of its log /x/y.log:\nz"),
            "server 'a' is not running",
        ),
        (Broken(), "Broken whose text cannot be shown: RuntimeError"),
        (SystemExit(3), "3"),
        (RuntimeError("x" * 2000), "x" * 897 + "..."),
        ("a text\nof two lines", "a text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_is_one_line_of_ascii(error: BaseException | str, line: str) -> None:
    assert one_line(error) == line


def test_what_is_not_ascii_is_escaped() -> None:
    assert ascii_text("\xb5 \ud800 ok") == "\\xb5 \\ud800 ok"
