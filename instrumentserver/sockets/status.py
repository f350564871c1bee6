"""The reply to ``status``: the computer, and every socket of this process."""

from __future__ import annotations

import json

from .machine import system_status
from .registry import entries

__all__ = ["encode_status"]


def encode_status() -> str:
    """Return the JSON text that all kinds of sockets send."""
    sockets = {}
    for port, entry in entries().items():
        status, since = entry["activity"].read()
        sockets[str(port)] = {
            "name": entry["name"],
            "type": entry["type"],
            "status": status,
            "since_last_activity": since,
        }
    return json.dumps({"system_status": system_status(), "socket_server_status": sockets})
