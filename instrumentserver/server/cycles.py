"""Chains of calls over several servers that wait for each other's instruments.

One chain holds an instrument here and waits for one on another server, whose caller, another chain, waits for
the one here. No server sees that by itself; so a call that has waited for a while asks all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from instrumentserver.transport.chain import Link

__all__ = ["Wait", "find_cycle"]


class Wait(NamedTuple):
    """A call that waits for an instrument.

    Attributes:
        wanted: The key of the instrument's lock.
        held: The keys of the locks that its chain of calls has.
        chain: The chain with the call itself at its end, for people.
    """

    wanted: str
    held: list[str]
    chain: list[Link]


def find_cycle(wanted: str, held: Collection[str], waits: Iterable[Wait]) -> list[Wait]:
    """Return the calls of a cycle that one waiting call belongs to, the call itself among them; none without a cycle.

    Args:
        wanted: The key of the lock that the call waits for.
        held: The keys of the locks that its chain has.
        waits: All calls that wait, of all servers, the call itself among them.
    """
    known = list(waits)

    def search(key: str, way: list[Wait]) -> list[Wait]:
        for wait in known:
            if key in wait.held and wait not in way:
                longer = [*way, wait]
                if wait.wanted in held or (found := search(wait.wanted, longer)):
                    return longer if wait.wanted in held else found
        return []

    own = [wait for wait in known if wait.wanted == wanted and set(wait.held) == set(held)]
    cycle = search(wanted, [])
    return [*own, *(wait for wait in cycle if wait not in own)] if cycle else []
