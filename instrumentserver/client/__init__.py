"""What a client holds: sessions with servers, and the proxies of what lives there."""

from .instrument import RemoteInstrument
from .module import RemoteModule
from .parameter import RemoteParameter
from .registry import address_of, find_proxy, forget_dead, proxies
from .session import Session, session_with, time_limit

__all__ = [
    "RemoteInstrument",
    "RemoteModule",
    "RemoteParameter",
    "Session",
    "address_of",
    "find_proxy",
    "forget_dead",
    "proxies",
    "session_with",
    "time_limit",
]
