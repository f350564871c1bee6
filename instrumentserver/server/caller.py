"""Who is calling, and what a thread of the server is doing for him."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from instrumentserver.errors import CallCycle, UnknownName
from instrumentserver.transport.address import Address
from instrumentserver.transport.chain import Link

from .hosted import Hosted
from .locks import InstrumentLock

__all__ = ["Caller"]


class Caller:
    """The client at the other end of one connection, and the call that is under way for him.

    Used by the thread of its connection alone, but for `activity` and `chain`.

    Attributes:
        who: The client, for people.
        session: Identifies the client's process, over all its connections.
        met: Instruments of this server that the present request brought as handles.
        incoming: The chain of calls that the present request is part of.
        after_reply: What is to be done once the present request has been answered.
    """

    def __init__(self, server_address: str, introduction: dict[str, Any], met: list[Hosted]) -> None:
        self._server_address = server_address
        self.introduction = introduction
        self.session = str(introduction.get("session", ""))
        self.who = f"{introduction.get('program', '?')} (pid {introduction.get('pid', '?')})"
        self.met = met
        self.incoming: list[Link] = []
        self.after_reply: Callable[[], None] | None = None
        self._what: tuple[str, str, float] | None = None
        self._held: InstrumentLock | None = None

    def begin(self, hosted: Hosted, operation: str, path: str) -> None:
        """Wait for the instrument's turn, and hold it until `end`.

        Raises:
            CallCycle: The instrument waits for the chain of calls that this call is part of.
            UnknownName: It was closed meanwhile.
        """
        if self.incoming:
            self.refuse_cycle(hosted, path)
        self._what = (operation, path, time.monotonic())
        while True:
            lock = hosted.lock
            lock.acquire()
            if lock is hosted.lock:
                break
            lock.release()
        if hosted.is_closed:
            lock.release()
            self._what = None
            raise UnknownName(f"instrument {hosted.name!r} was closed while a call waited for it")
        self._held = lock

    def end(self) -> None:
        """Let the next call have the instrument."""
        lock = self._held
        self._held = self._what = None
        if lock is not None:
            lock.release()

    @contextmanager
    def busy_with(self, hosted: Hosted, operation: str, path: str) -> Iterator[None]:
        """Hold an instrument during the block; see `begin`."""
        self.begin(hosted, operation, path)
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def busy(self, operation: str, path: str) -> Iterator[None]:
        """Be seen at work during the block, without holding an instrument."""
        self._what = (operation, path, time.monotonic())
        try:
            yield
        finally:
            self._what = None

    def activity(self) -> dict[str, Any] | None:
        """Return what is being done for this client now, None for nothing; for any thread."""
        what, held = self._what, self._held
        if what is None:
            return None
        operation, path, since = what
        return {
            "operation": str(operation),
            "path": path,
            "client": self.who,
            "seconds": time.monotonic() - since,
            "state": "running" if held is not None or operation in ("create", "close", "stop") else "waiting",
        }

    def chain(self) -> list[Link]:
        """Return the instruments that wait for what this thread is doing, outermost first; for any thread."""
        what, held = self._what, self._held
        if what is None:
            return []
        path = str(Address(self._server_address, what[1]))
        return [*self.incoming, [held.key if held else "", path]]

    def refuse_cycle(self, hosted: Hosted, path: str) -> None:
        """Make sure that the instrument does not wait for the chain of calls that this call is part of.

        Raises:
            CallCycle: It does; waiting for it would never end.
        """
        if all(key != hosted.lock.key for key, _ in self.incoming):
            return
        way = " -> ".join(name for _, name in self.incoming)
        raise CallCycle(
            f"{way} -> {Address(self._server_address, path)}: this call came back to an instrument that is "
            f"waiting for it and would wait for ever; read the value from the cache, or pass it as an argument"
        )
