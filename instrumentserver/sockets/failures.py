"""What a socket refuses: a request, a port, a codename."""

from __future__ import annotations

from instrumentserver.errors import InstrumentServerError, UsageError

__all__ = ["NoLiveServer", "PortStillReserved", "Refused", "UnknownCodename"]


class PortStillReserved(InstrumentServerError):
    """Another socket has the port, of this process or of another one."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is still reserved: another program uses it, or the system has not released it yet. Stop the "
            f"other program, choose another port, or, where the other one is known to be gone, set "
            f"SocketServer.UDPServer.allow_reuse_address = True (socketserver in Python 3) before the socket is made"
        )
        self.port = port


class UnknownCodename(UsageError, RuntimeError):
    """The socket was not made with that codename."""


class NoLiveServer(UsageError, AttributeError):
    """It was not said where the live server is."""


class Refused(InstrumentServerError):
    """A request that is answered with an error.

    Args:
        reply: What the client gets.
    """

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply
