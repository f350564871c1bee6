"""By which addresses others may name a server: those at which it listens, in all the spellings of its computer."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from instrumentserver.errors import UsageError
from instrumentserver.transport.address import endpoint_of

__all__ = ["OwnAddresses"]

_ALL: Final = ("0.0.0.0", "::")
_MOST_KNOWN: Final = 1000


class OwnAddresses:
    """The addresses of one server, as seen on one connection.

    Args:
        addresses: Where the server listens; may grow.
        used: By which address the client at the other end knows it; "" if by none of his own.
        is_near: Whether he is on the server's computer, so that both call the same localhost.
    """

    def __init__(self, addresses: list[str], used: str = "", *, is_near: bool = True) -> None:
        self._addresses = addresses
        self._used = used
        self._is_near = is_near
        self._known: dict[str, bool] = {}

    def used_as(self, address: str, *, is_near: bool) -> OwnAddresses:
        """Return the same for a connection whose client knows the server by an address of his own."""
        return OwnAddresses(self._addresses, address, is_near=is_near)

    def __contains__(self, address: object) -> bool:
        if address == self._used or address in self._addresses:
            return True
        known = self._known.get(str(address))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[str(address)] = self._is_own(str(address))
        return known

    def _is_own(self, address: str) -> bool:
        """Return whether an address is another name of one at which the server listens."""
        try:
            asked = endpoint_of(address)
            listening = [endpoint_of(each) for each in self._addresses if "://" in each]
        except UsageError:
            return False
        same_port = [each for each in listening if (each.scheme, each.port) == (asked.scheme, asked.port)]
        if not any(each.host in _ALL for each in same_port):
            return False
        # What somebody on another computer calls localhost is not this one.
        return _is_here(asked.host, count_loopback=self._is_near)


def _is_here(host: str, *, count_loopback: bool) -> bool:
    """Return whether a host is this computer; asks nobody else."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host == socket.gethostname().lower() or (count_loopback and host == "localhost")
    if number.is_loopback and not count_loopback:
        return False
    family = socket.AF_INET if number.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            # Only a number of one of this computer's interfaces can be bound.
            sock.bind((host, 0))
        except OSError:
            return False
    return not number.is_multicast
