from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from instrumentserver.errors import ConnectFailed, UsageError
from instrumentserver.transport import known_servers
from instrumentserver.transport.known_servers import (
    add_token,
    check_pin,
    credentials_for,
    forget_pin,
    forget_token,
    known_pins,
    parse_pin,
    remember_pin,
    set_credentials,
    stored_tokens,
)

ADDRESS = "tls://labpc2:5900"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
TOKEN = "ab" * 32


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("INSTRUMENTSERVER_DIR", str(tmp_path))
    monkeypatch.setattr(known_servers, "_given", {})
    yield tmp_path / "network"


def test_a_certificate_is_remembered_and_compared(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert check_pin(ADDRESS, ONE, "")
    with caplog.at_level(logging.WARNING):
        remember_pin(ADDRESS, ONE)

    assert ONE in caplog.text
    assert not check_pin(ADDRESS, ONE, "")
    assert stat.S_IMODE((folder / "known_servers").stat().st_mode) == 0o600
    assert (folder / "known_servers").read_text() == f"{ADDRESS} {ONE}\n"
    with pytest.raises(
        ConnectFailed, match=rf"HAS CHANGED: it shows {TWO}.*{ONE}.*token forget {ADDRESS} --pin"
    ):
        check_pin(ADDRESS, TWO, "")
    assert check_pin("tls://labpc3:5900", TWO, "")


def test_a_given_one_comes_before_the_known_one() -> None:
    remember_pin(ADDRESS, ONE)

    assert not check_pin(ADDRESS, TWO, TWO)
    with pytest.raises(ConnectFailed, match="than the one you gave"):
        check_pin(ADDRESS, ONE, TWO)


def test_of_two_lines_the_first_counts(folder: Path) -> None:
    remember_pin(ADDRESS, ONE)
    remember_pin(ADDRESS, TWO)
    assert known_pins() == {ADDRESS: ONE}
    assert forget_pin(ADDRESS)
    assert known_pins() == {}
    assert not forget_pin(ADDRESS)


def test_what_is_no_line_is_passed_over(folder: Path) -> None:
    remember_pin(ADDRESS, ONE)
    with open(folder / "known_servers", "a") as file:
        file.write("# a comment here\n\nnonsense\ntoo many words here\n")
    assert known_pins() == {ADDRESS: ONE}


def test_tokens_are_stored_and_forgotten(folder: Path) -> None:
    add_token(ADDRESS, f"{TOKEN}\n")
    add_token("tls://other:1", "cd" * 32)

    assert stored_tokens() == {ADDRESS: TOKEN, "tls://other:1": "cd" * 32}
    assert stat.S_IMODE((folder / "tokens").stat().st_mode) == 0o600
    assert forget_token(ADDRESS)
    assert not forget_token(ADDRESS)
    assert list(stored_tokens()) == ["tls://other:1"]


def test_what_others_can_read_is_refused(folder: Path) -> None:
    add_token(ADDRESS, TOKEN)
    (folder / "tokens").chmod(0o644)
    with pytest.raises(UsageError, match="others can read"):
        credentials_for(ADDRESS)


def test_what_was_said_comes_first_then_the_environment_then_what_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert credentials_for(ADDRESS).token == ""
    add_token(ADDRESS, TOKEN)
    assert credentials_for(ADDRESS).token == TOKEN
    monkeypatch.setenv("INSTRUMENTSERVER_TOKEN", "cd" * 32)
    assert credentials_for(ADDRESS).token == "cd" * 32
    assert set_credentials(ADDRESS, token="ef" * 32, pin=ONE.upper(), line_timeout=3)
    assert credentials_for(ADDRESS) == known_servers.Credentials("ef" * 32, ONE, 3.0)
    assert not set_credentials(ADDRESS, token="ef" * 32)
    assert credentials_for("tls://other:1").token == "cd" * 32


def test_silence_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials_for(ADDRESS).line_timeout == 5.0
    monkeypatch.setenv("INSTRUMENTSERVER_LINE_TIMEOUT", "10")
    assert credentials_for(ADDRESS).line_timeout == 10.0
    for text in ("soon", "1", "nan", "99999"):
        monkeypatch.setenv("INSTRUMENTSERVER_LINE_TIMEOUT", text)
        with pytest.raises(UsageError, match="2 to 3600"):
            credentials_for(ADDRESS)


@pytest.mark.parametrize("seconds", [0, 1.9, -5, 4000, float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="cannot count as cut"):
        set_credentials(ADDRESS, line_timeout=seconds)
    assert credentials_for(ADDRESS).line_timeout == 5.0


@pytest.mark.parametrize("text", ["", "sha256:", "sha1:" + "1" * 40, "g" * 64, "1" * 63])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no fingerprint"):
        parse_pin(text)


def test_fingerprints_may_be_written_with_colons() -> None:
    assert parse_pin(" " + ":".join(["1A"] * 32)) == f"sha256:{'1a' * 32}"
