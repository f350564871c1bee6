"""By which address somebody on another computer reaches what this computer knows by an address of its own."""

from __future__ import annotations

import socket
from typing import Final

from instrumentserver.directory import Directory
from instrumentserver.errors import NotPortable

from .address import Address, endpoint_of, is_network_address

__all__ = ["from_afar", "own_number_towards"]

_ALL: Final = ("0.0.0.0", "::")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def from_afar(address: Address, host: str, directory: Directory) -> str:
    """Return the address, in text, by which somebody on another computer reaches what an address means here.

    Args:
        address: Of a server, or of something on it.
        host: By which name or number he reaches this computer.
        directory: Where the records of this user's servers are.

    Raises:
        NotPortable: By none; the message says what to do.
    """
    for place in _places(address.server, directory):
        endpoint = endpoint_of(place)
        is_ours = endpoint.host in (*_ALL, *_LOOPBACK, host)
        if is_ours and endpoint.host in _LOOPBACK and host not in _LOOPBACK and place != address.server:
            continue  # It listens on the network of this computer only.
        return str(Address(str(endpoint._replace(host=host) if is_ours else endpoint), address.path))
    raise NotPortable(
        f"{address} is on a server that listens on no network, and cannot be used from another computer; "
        f"have it listen with start_server(..., listen='tls://0.0.0.0:0')"
    )


def _places(server: str, directory: Directory) -> tuple[str, ...]:
    """Return where on networks a server listens."""
    if is_network_address(server):
        return (server,)
    if server.startswith("unix:"):
        record = directory.find(server.removeprefix("unix:"))
    else:
        record = next((each for each in directory.records() if each.address == server), None)
    return () if record is None else record.addresses


def own_number_towards(address: str) -> str:
    """Return the number of this computer's interface over which a server on a network is reached.

    Raises:
        OSError: No way leads there.
    """
    endpoint = endpoint_of(address)
    family, kind, _, _, place = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as sock:
        # Nothing is sent: the system only chooses the interface.
        sock.connect(place)
        return str(sock.getsockname()[0]).partition("%")[0]
