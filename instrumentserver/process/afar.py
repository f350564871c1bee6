"""Servers and networks: where one listens, and reaching one on another computer."""

from __future__ import annotations

from collections.abc import Sequence

from instrumentserver.client.registry import open_session
from instrumentserver.client.session import Session, known_sessions
from instrumentserver.directory import Record
from instrumentserver.errors import UsageError
from instrumentserver.server.listeners import check_secure
from instrumentserver.transport.address import endpoint_of, is_network_address, loopback_endpoint
from instrumentserver.transport.known_servers import set_credentials

from .handle import Server

__all__ = ["connected_afar", "divided", "reach_afar"]


def divided(listen: str | Sequence[str] | None, *, insecure: bool) -> tuple[str | None, list[str]]:
    """Return where a server shall listen for local clients, None for the usual place, and where on networks."""
    addresses = [listen] if isinstance(listen, str) else list(listen or ())
    network = [address for address in addresses if is_network_address(address)]
    local = [address for address in addresses if address not in network]
    for address in local:
        if not address.startswith("tcp://"):
            raise UsageError(
                f"{address!r} is no address to listen at; write tls://0.0.0.0:PORT for other computers, PORT 0 for any "
                f"free one, or tcp://127.0.0.1:PORT for this one only"
            )
        loopback_endpoint(address)
    if len(local) > 1:
        raise UsageError(f"{' and '.join(local)}: a server has one address for local clients; choose one")
    return local[0] if local else None, [check_secure(address, insecure=insecure) for address in network]


def reach_afar(
    address: str, token: str | None = None, pin: str | None = None, line_timeout: float | None = None
) -> Server:
    """Return the server at an address on a network; see `connect`."""
    address = str(endpoint_of(address))
    session = open_session(address)
    if set_credentials(address, token=token, pin=pin, line_timeout=line_timeout):
        # What was connected in another role shall not go on with it.
        session.close()
    session.greet()
    return _server_of(session)


def connected_afar() -> list[Server]:
    """Return the servers of other computers with which this process is connected."""
    return [_server_of(session) for session in known_sessions() if session.is_remote and session.is_open]


def _server_of(session: Session) -> Server:
    told = session.welcome
    return Server(Record(told["name"], session.address, told["pid"], "", "", tuple(told["addresses"][1:])))
