"""Who this process says it is when it connects with a server."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Any, Final

__all__ = ["forget_session", "introduce_as", "introduction"]

_session_id: Final[list[str]] = []
_role: Final[dict[str, str]] = {}


def introduction() -> dict[str, Any]:
    """Return who we are, for the server's status."""
    if not _session_id:
        _session_id.append(uuid.uuid4().hex)
    return {
        "session": _session_id[0],
        "pid": os.getpid(),
        "user": _user(),
        "host": socket.gethostname(),
        "program": Path((sys.argv or [""])[0]).name or "python",
        **_role,
    }


def introduce_as(program: str, server: str) -> None:
    """Have this process be known to servers as a server itself.

    Args:
        program: Stands for the name of the script.
        server: The server's address.
    """
    _role.update(program=program, server=server)


def forget_session() -> None:
    """Be another session from now on, as a forked child is."""
    _session_id.clear()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
