"""Data sockets: the UDP protocol of PyExpLabSys, spoken to programs that expect it unchanged.

Pull sockets show the last points of a measurement, push sockets receive data and commands, live sockets send points
to a live server. Whoever reaches a socket's port may use it: listen at ``host='127.0.0.1'`` where that is enough.
"""

from __future__ import annotations

from .bridge import Control, Publication, control, plain, publish
from .constants import (
    BAD_CHARS,
    OLD_DATA,
    PUSH_ACK,
    PUSH_ERROR,
    PUSH_EXCEP,
    PUSH_RET,
    TYPE_FROM_STRING,
    UNKNOWN_COMMAND,
)
from .failures import NoLiveServer, PortStillReserved, UnknownCodename
from .live import LivePoint, LiveServer, LiveSocket, LiveSubscription
from .pull import (
    CommonDataPullSocket,
    DataPullSocket,
    DataSocket,
    DateDataPullClient,
    DateDataPullSocket,
    DateDataSocket,
    PullUDPHandler,
)
from .push import CallBackThread, DataPushSocket, PushUDPHandler
from .registry import DATA
from .udp import Statistics

__all__ = [
    "BAD_CHARS",
    "DATA",
    "OLD_DATA",
    "PUSH_ACK",
    "PUSH_ERROR",
    "PUSH_EXCEP",
    "PUSH_RET",
    "TYPE_FROM_STRING",
    "UNKNOWN_COMMAND",
    "CallBackThread",
    "CommonDataPullSocket",
    "Control",
    "DataPullSocket",
    "DataPushSocket",
    "DataSocket",
    "DateDataPullClient",
    "DateDataPullSocket",
    "DateDataSocket",
    "LivePoint",
    "LiveServer",
    "LiveSocket",
    "LiveSubscription",
    "NoLiveServer",
    "PortStillReserved",
    "Publication",
    "PullUDPHandler",
    "PushUDPHandler",
    "Statistics",
    "UnknownCodename",
    "control",
    "plain",
    "publish",
]
