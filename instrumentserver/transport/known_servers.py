"""What a client knows of servers on a network: their certificates, and the tokens that were given to him.

Two text files in the private folder, one line for each server: ``known_servers`` (address, fingerprint), and
``tokens`` (address, token).
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instrumentserver.errors import ConnectFailed, UsageError

from .keepalive import checked_silence, silence_from_environment
from .keys import parse_token
from .private import private_folder, read_private, write_private

__all__ = [
    "Credentials",
    "add_token",
    "check_pin",
    "credentials_for",
    "forget_pin",
    "forget_token",
    "known_pins",
    "parse_pin",
    "remember_pin",
    "set_credentials",
    "stored_tokens",
]

logger = logging.getLogger(__name__)

_VARIABLE: Final = "INSTRUMENTSERVER_TOKEN"
_guard: Final = threading.Lock()


@dataclass(frozen=True)
class Credentials:
    """How a client connects with one server on a network.

    Attributes:
        token: What he proves to know; "" if he knows none.
        pin: The fingerprint of the certificate that the server must show; "" for the known one.
        line_timeout: After how long a silence of the other computer the line counts as cut, seconds.
    """

    token: str
    pin: str
    line_timeout: float


_given: Final[dict[str, dict[str, str | float]]] = {}


def set_credentials(
    address: str, *, token: str | None = None, pin: str | None = None, line_timeout: float | None = None
) -> bool:
    """Have this process use something else than what is stored for a server; None leaves it as it is.

    Returns:
        Whether it is something new.

    Raises:
        UsageError: That is no token, no fingerprint, or no time.
    """
    given: dict[str, str | float] = {}
    if token is not None:
        given["token"] = parse_token(token)
    if pin is not None:
        given["pin"] = parse_pin(pin)
    if line_timeout is not None:
        given["line_timeout"] = checked_silence(line_timeout)
    with _guard:
        before = _given.get(address, {})
        _given[address] = {**before, **given}
        return _given[address] != before


def credentials_for(address: str) -> Credentials:
    """Return how to connect with a server: as was said in this process, else in the environment, else as is stored.

    Raises:
        UsageError: What the environment says is no token or no time, or others can read what is stored.
    """
    given = _given.get(address, {})
    token = str(given.get("token", ""))
    if not token:
        variable = os.environ.get(_VARIABLE, "")
        token = parse_token(variable) if variable.strip() else stored_tokens().get(address, "")
    line_timeout = given.get("line_timeout")
    return Credentials(
        token=token,
        pin=str(given.get("pin", "")),
        line_timeout=silence_from_environment() if line_timeout is None else float(line_timeout),
    )


def parse_pin(text: str) -> str:
    """Return a fingerprint, ``sha256:`` and 64 small hexadecimal digits, however people have written it.

    Raises:
        UsageError: It is none.
    """
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            f"{text!r} is no fingerprint of a certificate; "
            f"take what instrumentserver token pin NAME prints, such as sha256:3f09..."
        )
    return f"sha256:{digits}"


# Certificates


def check_pin(address: str, shown: str, expected: str) -> bool:
    """Make sure that a server shows the certificate that it must show.

    Args:
        address: The server's address.
        shown: The fingerprint of the certificate that it shows.
        expected: The one that the user gave, "" if he gave none.

    Returns:
        Whether this is the first contact, and there is nothing to compare with.

    Raises:
        ConnectFailed: It is another one.
    """
    known = expected or known_pins().get(address, "")
    if not known or known == shown:
        return not known
    if expected:
        raise ConnectFailed(
            f"{address} shows another certificate than the one you gave: {shown} instead of {expected}; somebody "
            f"may be listening in. Compare with what instrumentserver token pin NAME prints on the server's computer"
        )
    raise ConnectFailed(
        f"THE CERTIFICATE OF {address} HAS CHANGED: it shows {shown}, and {_pins_file()} has {known}. Somebody may be "
        f"listening in, or the server was set up anew. Ask its owner for what instrumentserver token pin NAME prints; "
        f"if it is the new one, run: instrumentserver token forget {address} --pin"
    )


def remember_pin(address: str, shown: str) -> None:
    """Remember the certificate of a server that has proven to know our token, and log it, once."""
    logger.warning(
        "first contact with %s: its certificate %s is remembered in %s", address, shown, _pins_file()
    )
    line = f"{address} {shown}\n".encode()
    handle = os.open(_pins_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def known_pins() -> dict[str, str]:
    """Return the fingerprints of the known servers, by address."""
    return _read(_pins_file())


def forget_pin(address: str) -> bool:
    """Forget the certificate of a server; return whether it was known."""
    return _remove(_pins_file(), address)


# Tokens


def stored_tokens() -> dict[str, str]:
    """Return the tokens that are stored, by address."""
    return _read(_tokens_file())


def add_token(address: str, token: str) -> None:
    """Store the token for a server.

    Raises:
        UsageError: That is no token.
    """
    tokens = {**stored_tokens(), address: parse_token(token)}
    _write(_tokens_file(), tokens)


def forget_token(address: str) -> bool:
    """Forget the token for a server; return whether there was one."""
    return _remove(_tokens_file(), address)


def _pins_file() -> Path:
    return private_folder() / "known_servers"


def _tokens_file() -> Path:
    return private_folder() / "tokens"


def _read(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in read_private(path).decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 2 and not line.startswith("#"):
            # Of two the first counts: nobody who can only add to the file replaces a certificate.
            found.setdefault(words[0], words[1])
    return found


def _write(path: Path, lines: dict[str, str]) -> None:
    write_private(path, "".join(f"{key} {value}\n" for key, value in lines.items()).encode())


def _remove(path: Path, address: str) -> bool:
    lines = _read(path)
    if lines.pop(address, None) is None:
        return False
    _write(path, lines)
    return True
