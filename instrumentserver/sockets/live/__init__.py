"""Live sockets send each point to a live server at once, which shows them as parameters."""

from __future__ import annotations

from .server import LiveServer
from .socket import LiveSocket
from .subscribers import LivePoint, LiveSubscription

__all__ = ["LivePoint", "LiveServer", "LiveSocket", "LiveSubscription"]
