"""The chain of calls that the present call is part of.

A server that calls another server on behalf of a caller tells it which instruments wait for the answer.
A call that would come back to one of them is refused instead of waiting for ever.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["Link", "Work", "current_work"]

Link = list[str]
"""One waiting instrument: the key of the lock that it holds, and its address for people."""


class Work(Protocol):
    """What a thread of a server is doing for a caller."""

    def chain(self) -> list[Link]:
        """Return the instruments that wait for this work, outermost first."""


current_work: Final[ContextVar[Work | None]] = ContextVar("current_work", default=None)
"""Set in the threads of a server; None in a client."""
