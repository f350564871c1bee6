from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from instrumentserver.errors import UnknownName, UsageError
from instrumentserver.transport.keys import ROLES, ServerKeys, parse_token
from instrumentserver.transport.private import private_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("INSTRUMENTSERVER_DIR", str(tmp_path))
    yield tmp_path / "network" / "servers" / "foo"


@pytest.fixture
def keys(folder: Path) -> ServerKeys:
    made = ServerKeys("foo")
    made.make()
    return made


def test_what_was_never_made_is_not_there(folder: Path) -> None:
    keys = ServerKeys("foo")

    assert not keys.is_there
    for use in (lambda: keys.fingerprint, lambda: keys.token("viewer"), keys.tokens):
        with pytest.raises(UnknownName, match=r"never listened on a network.*--listen"):
            use()
    assert not folder.exists()


def test_what_is_made_is_private_and_stays(keys: ServerKeys, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ServerKeys("foo").make()

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(before) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(each.stat().st_mode) for each in (folder, *list(folder.parents)[:2])} == {0o700}


def test_the_certificate_is_of_its_own_kind(keys: ServerKeys, folder: Path) -> None:
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    now = datetime.now(UTC)

    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.not_valid_before_utc < now - timedelta(hours=12)
    assert certificate.not_valid_after_utc > now + timedelta(days=365 * 50)
    assert certificate.issuer == certificate.subject
    assert isinstance(keys.context(), ssl.SSLContext)


def test_tokens_differ_and_are_random(keys: ServerKeys) -> None:
    other = ServerKeys("bar")
    other.make()

    tokens = [each.token(role) for each in (keys, other) for role in ROLES]
    assert len(set(tokens)) == 6
    assert {len(token) for token in tokens} == {64}
    assert keys.fingerprint != other.fingerprint
    assert keys.tokens() == [keys.token(role).encode() for role in ROLES]


def test_rotating_one_leaves_the_others(keys: ServerKeys) -> None:
    before = keys.tokens()
    keys.rotate("operator")

    assert [one == other for one, other in zip(before, keys.tokens(), strict=True)] == [True, False, True]


def test_a_role_that_is_none_is_refused(keys: ServerKeys) -> None:
    for use in (keys.token, keys.rotate):
        with pytest.raises(UsageError, match="viewer, operator, admin"):
            use("../admin")


@pytest.mark.parametrize("name", ["../foo", "a/b", "", "."])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        ServerKeys(name)


def test_what_others_can_read_is_refused(keys: ServerKeys, folder: Path) -> None:
    (folder / "key.pem").chmod(0o640)
    (folder / "viewer.token").chmod(0o604)

    with pytest.raises(UsageError, match="chmod 600"):
        keys.context()
    with pytest.raises(UsageError, match="chmod 600"):
        keys.tokens()
    folder.parents[1].chmod(0o755)
    with pytest.raises(UsageError, match="chmod 700"):
        private_folder()


@pytest.mark.parametrize("text", ["", "secret", "0" * 63, "g" * 64, "0" * 65])
def test_what_is_no_token_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="no token") as caught:
        parse_token(text)
    assert text == "" or text not in str(caught.value)


def test_a_token_may_be_written_in_any_case() -> None:
    assert parse_token(" " + "AB" * 32 + "\n") == "ab" * 32


def test_without_the_variable_the_folder_is_where_settings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INSTRUMENTSERVER_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    assert tmp_path in private_folder().parents
