"""Push sockets: programs send data or commands."""

from __future__ import annotations

from .callbacks import CallBackThread
from .handler import PushUDPHandler
from .socket import DataPushSocket

__all__ = ["CallBackThread", "DataPushSocket", "PushUDPHandler"]
