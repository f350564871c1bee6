"""Those who are saying their opening words: so many that strangers who say nothing keep nobody out."""

from __future__ import annotations

from collections import Counter
from typing import Final

from .worker import Worker

__all__ = ["Greeting"]

_MOST: Final = 64
"""So many local clients, and so many from networks."""


class Greeting:
    """Who has not proven himself yet, the earliest first. Used with its owner's lock held."""

    def __init__(self) -> None:
        self._hosts: dict[Worker, str] = {}

    def __bool__(self) -> bool:
        return bool(self._hosts)

    def enter(self, worker: Worker, host: str) -> Worker | None:
        """Take somebody in; return whoever has to go for that.

        Local clients and those from networks do not compete, and of the latter he has to go who came first from the
        host that has the most here: nobody can keep out the clients of other hosts.

        Args:
            worker: The worker who greets him.
            host: The number of his computer; "" for this one.
        """
        beside = {other: its for other, its in self._hosts.items() if bool(its) is bool(host)}
        self._hosts[worker] = host
        if len(beside) < _MOST:
            return None
        busiest = Counter(beside.values()).most_common(1)[0][0]
        out = next(other for other, its in beside.items() if its == busiest)
        del self._hosts[out]
        return out

    def leave(self, worker: Worker) -> None:
        """Count that somebody has proven himself, or has gone."""
        self._hosts.pop(worker, None)
