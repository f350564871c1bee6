"""Pull sockets: programs ask for the last points of a measurement."""

from __future__ import annotations

from .client import DateDataPullClient
from .handler import PullUDPHandler
from .older import DataSocket, DateDataSocket
from .sockets import CommonDataPullSocket, DataPullSocket, DateDataPullSocket

__all__ = [
    "CommonDataPullSocket",
    "DataPullSocket",
    "DataSocket",
    "DateDataPullClient",
    "DateDataPullSocket",
    "DateDataSocket",
    "PullUDPHandler",
]
