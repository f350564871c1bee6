"""What a Context takes from its surroundings where nothing else is said."""

from __future__ import annotations

import getpass
import os
from typing import Final

from instrumentserver.errors import UsageError

__all__ = ["default_timeout", "user_name"]

_TIMEOUT: Final = 2.0


def default_timeout() -> float | None:
    """Return the time limit that the environment variable INSTRUMENTSERVER_TIMEOUT says, seconds; None for none.

    Raises:
        UsageError: It says no time.
    """
    text = os.environ.get("INSTRUMENTSERVER_TIMEOUT", "")
    if not text:
        return _TIMEOUT
    if text.strip().lower() == "none":
        return None
    try:
        timeout = float(text)
    except ValueError:
        timeout = -1.0
    if not timeout >= 0:
        raise UsageError(
            f"INSTRUMENTSERVER_TIMEOUT={text!r} is no time; give seconds, 0 or more, or none for ever"
        )
    return timeout


def user_name() -> str:
    """Return the name of the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
