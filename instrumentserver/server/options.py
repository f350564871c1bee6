"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerOptions"]


@dataclass(frozen=True)
class ServerOptions:
    """What a server is started with.

    Attributes:
        name: Its name.
        listen: Where it listens, ``unix:NAME`` or ``tcp://127.0.0.1:PORT``, port 0 for any.
        linger: How long it lives without clients, seconds; None for ever.
        network: Where it listens on networks beside that, ``tls://HOST:PORT``.
        allow: What clients on networks may have it import.
        insecure: Whether it may listen on networks without TLS.
    """

    name: str
    listen: str
    linger: float | None
    network: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    insecure: bool = False
