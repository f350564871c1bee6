"""The ways to a server: over a socket file or loopback on the same computer, or over a network."""

from __future__ import annotations

import ssl
import time

from instrumentserver.directory import Directory
from instrumentserver.errors import ConnectFailed
from instrumentserver.transport.address import Address, endpoint_of
from instrumentserver.transport.afar import from_afar, own_number_towards
from instrumentserver.transport.handshake import Line, greet_server
from instrumentserver.transport.known_servers import check_pin, credentials_for, remember_pin
from instrumentserver.transport.sockets import connect_network, connect_socket
from instrumentserver.transport.tls import TlsStream, client_context, fingerprint_of

__all__ = ["LocalWay", "NetworkWay"]


class LocalWay:
    """The way to a server of the same user on the same computer.

    Args:
        address: The server's address.
        directory: Where its socket and the token are.
    """

    line_timeout = 0.0

    def __init__(self, address: str, directory: Directory) -> None:
        self._address = address
        self._directory = directory
        self._socket_path = directory.socket_path(address.partition(":")[2])

    def reach(self, patience: float) -> Line:
        """Return a socket that is connected to the server.

        Raises:
            OSError: Nobody listens there.
        """
        return connect_socket(self._address, self._socket_path, patience)

    def greet(self, line: Line, patience: float) -> None:
        """Say the opening words; see `greet_server` for errors."""
        greet_server(line, self._directory.token(), patience)

    def told(self, address: Address) -> str:
        """Return by which address the server knows what this process knows by an address."""
        return str(address)


class NetworkWay:
    """The way to a server on a network.

    Args:
        address: The server's address, ``tls://HOST:PORT`` or ``tcp://HOST:PORT``.
        directory: Where the records of local servers are.

    Attributes:
        line_timeout: After how long a silence of the other computer the line counts as cut, seconds.
    """

    def __init__(self, address: str, directory: Directory) -> None:
        self._address = address
        self._directory = directory
        self._is_encrypted = endpoint_of(address).scheme == "tls"
        self.line_timeout = 0.0

    def reach(self, patience: float) -> Line:
        """Return a socket that is connected to the server, with TLS on it.

        Raises:
            ConnectFailed: There is no token for the server, or no TLS there that we take.
            OSError: Nobody listens there.
        """
        give_up = time.monotonic() + patience
        credentials = credentials_for(self._address)
        if not credentials.token:
            raise ConnectFailed(
                f"there is no token for {self._address}; ask the server's owner for what "
                f"'instrumentserver token show NAME --role operator' prints, and store it with "
                f"'instrumentserver token add {self._address}', or give it: connect(..., token=...)"
            )
        self.line_timeout = credentials.line_timeout
        sock = connect_network(self._address, patience, self.line_timeout)
        if not self._is_encrypted:
            return sock
        try:
            return TlsStream(sock, client_context(), server_side=False, give_up=give_up)
        except ssl.SSLError as error:
            raise ConnectFailed(
                f"what answers at {self._address} speaks no TLS 1.3 ({error.reason or error}); "
                f"is it a server's own port, and one that was given as tls://?"
            ) from error

    def greet(self, line: Line, patience: float) -> None:
        """Compare the certificate, and say the opening words.

        Raises:
            ConnectFailed: The certificate is not the known one, or the server refuses our token.
            Exception: As `greet_server`.
        """
        credentials = credentials_for(self._address)
        shown, channel, is_first = "", b"", False
        if isinstance(line, TlsStream):
            shown = fingerprint_of(line.certificate)
            channel = bytes.fromhex(shown.removeprefix("sha256:"))
            is_first = check_pin(self._address, shown, credentials.pin)
        remedy = (
            f"it was made anew, it is that of another server, or somebody in the middle shows us a certificate of his "
            f"own. Ask the owner of {self._address} for what 'instrumentserver token show NAME --role operator' "
            f"prints, and store it with 'instrumentserver token add {self._address}'"
        )
        greet_server(line, credentials.token.encode(), patience, channel=channel, remedy=remedy)
        if is_first:
            # Only now: that it knows the token proves that nobody is in the middle.
            remember_pin(self._address, shown)

    def told(self, address: Address) -> str:
        """Return by which address the server knows what this process knows by an address.

        Raises:
            NotPortable: By none: it is on a server that cannot be reached from there.
        """
        if address.server == self._address:
            return str(address)
        return from_afar(address, own_number_towards(self._address), self._directory)
