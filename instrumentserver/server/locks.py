"""One lock for each root instrument, or for several that hold one another.

Calls on an instrument are serial because each holds the instrument's lock. An instrument that was given
another one of its own server calls it directly, not through a connection; so both get the same lock, and a
client's call on the one waits for the other's.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection
from typing import Final, Protocol

__all__ = ["InstrumentLock", "Locked", "acquire_lock", "share_lock"]

_numbers: Final = itertools.count(1)


class InstrumentLock:
    """A re-entrant lock with a key by which a chain of calls names it."""

    __slots__ = ("acquire", "key", "release")

    def __init__(self, server_id: str) -> None:
        lock = threading.RLock()
        self.acquire = lock.acquire
        self.release = lock.release
        self.key = f"{server_id}:{next(_numbers)}"


class Locked(Protocol):
    """Something with a lock that may be exchanged."""

    lock: InstrumentLock


def acquire_lock(owner: Locked, timeout: float = -1) -> bool:
    """Acquire the owner's present lock; return whether it worked within ``timeout`` seconds, -1 for ever."""
    while True:
        lock = owner.lock
        if not lock.acquire(timeout=timeout):
            return False
        if lock is owner.lock:
            return True
        lock.release()


def share_lock(owners: Collection[Locked], everybody: Collection[Locked]) -> None:
    """Give all owners, and all who share a lock with one of them, one common lock.

    Blocks until no call on any of them is under way. The calling thread must hold none of the locks.

    Args:
        owners: Those who shall share.
        everybody: All who have a lock in this process.
    """
    while True:
        locks = {owner.lock for owner in owners}
        if len(locks) <= 1:
            return
        ordered = sorted(locks, key=lambda lock: int(lock.key.rpartition(":")[2]))
        for lock in ordered:
            lock.acquire()
        try:
            if {owner.lock for owner in owners} == locks:
                for owner in everybody:
                    if owner.lock in locks:
                        owner.lock = ordered[0]
                return
        finally:
            for lock in reversed(ordered):
                lock.release()
