"""Live sockets send each point to a live server at once."""

from __future__ import annotations

from .socket import LiveSocket

__all__ = ["LiveSocket"]
