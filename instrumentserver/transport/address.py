"""Addresses: how a server, and anything on it, is named anywhere.

``unix:foo`` is the server foo of this user on this computer, ``unix:foo/dac.ch1.v`` a parameter
on it; ``tcp://127.0.0.1:5900/dac`` is an instrument of a server of this computer that listens on TCP, and
``tls://labpc2:5900/dac`` one of another computer's.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from instrumentserver.errors import UsageError

__all__ = [
    "Address",
    "Endpoint",
    "check_server_name",
    "endpoint_of",
    "is_network_address",
    "is_server_address",
    "loopback_endpoint",
]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ENDPOINT: Final = re.compile(
    r"(?P<scheme>tcp|tls)://(?P<host>\[[0-9a-fA-F:.]+(?:%\w+)?\]|[\w.-]+):(?P<port>\d{1,5})", re.ASCII
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Endpoint(NamedTuple):
    """Where a server is reached by TCP.

    Attributes:
        scheme: ``tcp`` or ``tls``.
        host: Name or number of a computer, IPv6 without brackets.
        port: 0 to 65535.
    """

    scheme: str
    host: str
    port: int

    @property
    def is_on_network(self) -> bool:
        """Whether a server there proves itself and its clients as on a network; ``tcp`` on loopback does not."""
        return self.scheme == "tls" or self.host not in _LOOPBACK

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class Address:
    """Where something lives.

    Attributes:
        server: The server's own address, ``unix:NAME``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
        path: Names from the instrument down, joined by dots; "" is the server itself.
    """

    server: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that ``text`` spells.

        Raises:
            UsageError: The text spells no address.
        """
        scheme, separator, rest = text.partition(":")
        if scheme == "unix" and separator:
            server, _, path = rest.partition("/")
            return cls(f"unix:{check_server_name(server)}", path)
        match = _ENDPOINT.match(text)
        if match and int(match["port"]) <= 65535:
            path = text[match.end() :]
            if not path or path.startswith("/"):
                return cls(str(_endpoint(match)), path[1:])
        raise UsageError(
            f"{text!r} is not an address; write unix:NAME, tls://HOST:PORT or tcp://127.0.0.1:PORT, "
            f"then /INSTRUMENT if one is meant"
        )

    def __str__(self) -> str:
        return f"{self.server}/{self.path}" if self.path else self.server


def check_server_name(name: str) -> str:
    """Return ``name`` after making sure that a server may bear it.

    Raises:
        UsageError: It is not 1 to 64 letters, digits, ``_``, ``-`` and ``.``, beginning with
            a letter, a digit or ``_``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a server; use 1 to 64 letters, digits, '_', '-' and '.', such as 'magnet_1'"
        )
    return name


def is_server_address(text: str) -> bool:
    """Return whether ``text`` is meant as an address rather than as a server's name."""
    return ":" in text


def endpoint_of(address: str) -> Endpoint:
    """Return where a server's address leads, in one spelling of several.

    Raises:
        UsageError: It is no address of a server that is reached by TCP.
    """
    match = _ENDPOINT.fullmatch(address)
    if not match or int(match["port"]) > 65535:
        raise UsageError(f"{address!r} is not an address on a network; write tls://HOST:PORT")
    return _endpoint(match)


def is_network_address(address: str) -> bool:
    """Return whether a server's address is one at which servers and clients prove themselves as on a network."""
    match = _ENDPOINT.fullmatch(address)
    return match is not None and _endpoint(match).is_on_network


def loopback_endpoint(address: str) -> tuple[str, int]:
    """Return host and port of a TCP address of this computer.

    Raises:
        UsageError: It is no TCP address, or of another computer.
    """
    match = _ENDPOINT.fullmatch(address)
    if not match or match["scheme"] != "tcp" or int(match["port"]) > 65535:
        raise UsageError(
            f"{address!r} is not a TCP address; write tcp://127.0.0.1:PORT, PORT 0 for any free one"
        )
    endpoint = _endpoint(match)
    if endpoint.is_on_network:
        raise UsageError(
            f"{address!r} is not on this computer; plain TCP is for 127.0.0.1 only, where nobody can listen in"
        )
    return endpoint.host, endpoint.port


def _endpoint(match: re.Match[str]) -> Endpoint:
    host = match["host"].strip("[]").lower()
    if ":" in host:
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise UsageError(f"{match.group()!r} is not an address: {error}") from error
    return Endpoint(match["scheme"], host, int(match["port"]))
