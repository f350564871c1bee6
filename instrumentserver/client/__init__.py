"""What a client holds: sessions with servers, and the proxies of what lives there."""

from .instrument import RemoteInstrument
from .module import RemoteModule
from .parameter import RemoteParameter
from .registry import address_of, find_proxy, forget_dead, proxies
from .session import Session, session_with, time_limit
from .subscription import Subscription, Update
from .waiting import wait_until

__all__ = [
    "RemoteInstrument",
    "RemoteModule",
    "RemoteParameter",
    "Session",
    "Subscription",
    "Update",
    "address_of",
    "find_proxy",
    "forget_dead",
    "proxies",
    "session_with",
    "time_limit",
    "wait_until",
]
