"""Who is calling, and what a thread of the server is doing for him."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from instrumentserver.errors import CallCycle, UnknownName
from instrumentserver.transport.address import Address
from instrumentserver.transport.chain import Link
from instrumentserver.wire.messages import Op

from .cycles import Wait, find_cycle
from .locks import InstrumentLock, Locked

__all__ = ["Caller"]

_SUSPICIOUS_SECONDS: Final = 0.5
"""How long a call that keeps an instrument waiting itself waits before it looks for the reason."""
_LONGEST_PATIENCE: Final = 8.0
_WITHOUT_INSTRUMENT: Final = frozenset((Op.CREATE, Op.CLOSE, Op.STOP, Op.SERVE, Op.UNSERVE, Op.OBJECT_FREE))
"""Operations that work without holding an instrument at first."""


class Caller:
    """The client at the other end of one connection, and the call that is under way for him.

    Used by the thread of its connection alone, but for `activity` and `chain`.

    Attributes:
        who: The client, for people.
        where: The server, for the headings of tracebacks.
        session: Identifies the client's process, over all its connections.
        server: The address of the client where it is a server itself, else "".
        met: Instruments and objects of this server that the present request brought as handles.
        incoming: The chain of calls that the present request is part of.
        worked_on: The instrument, or the objects, that the latest request concerned.
        role: What he may do: "viewer", "operator" or "admin", which a local client is.
        is_remote: Whether he came over a network.
        allowed: What he may have this server import; None for everything.
        address_of: Returns by which address he is told of a part of an instrument, None for anything else.
        told_address: Returns by which address he is told of something on another server.
        references: The handles of objects that go to the client over this connection.
        functions: Functions of the client that the present request brought and that nobody has asked for yet.
        after_reply: What is to be done once the present request has been answered.
    """

    def __init__(
        self,
        server_address: str,
        introduction: dict[str, Any],
        met: list[Locked],
        all_waits: Callable[[], list[Wait]],
        where: str,
    ) -> None:
        self._server_address = server_address
        self._all_waits = all_waits
        self.where = where
        self.introduction = introduction
        self.session = str(introduction.get("session", ""))
        self.server = str(introduction.get("server", ""))
        self.who = f"{introduction.get('program', '?')} (pid {introduction.get('pid', '?')})"
        self.met = met
        self.incoming: list[Link] = []
        self.after_reply: Callable[[], None] | None = None
        self.worked_on: Locked | None = None
        self.references: Any = None
        self.role = "admin"
        self.is_remote = False
        self.allowed: Any = None
        self.address_of: Callable[[object], str | None] = lambda part: None
        self.told_address: Callable[[Address], str] = str
        self.functions: list[Any] = []
        self._what: tuple[str, str, float] | None = None
        self._held: InstrumentLock | None = None
        self._waits_for: InstrumentLock | None = None

    def begin(self, hosted: Locked, operation: str, path: str) -> None:
        """Wait for the instrument's turn, and hold it until `end`.

        Raises:
            CallCycle: The instrument waits for the chain of calls that this call is part of.
            UnknownName: It was closed meanwhile.
        """
        if self.incoming:
            self.refuse_cycle(hosted, path)
        self.worked_on = hosted
        self._what = (operation, path, time.monotonic())
        while True:
            lock = hosted.lock
            # `acquire_now` and, in `end`, `release` without their calls: 0.1 us.
            if lock.places or not lock.take(False):
                self._wait_for(lock, path)
            if lock is hosted.lock:
                break
            lock.release()
        if hosted.is_closed:
            lock.release()
            self._what = None
            raise UnknownName(f"instrument {hosted.name!r} was closed while a call waited for it")
        self._held = lock

    def _wait_for(self, lock: InstrumentLock, path: str) -> None:
        """Wait for an instrument's turn; whoever has it already, in this thread, does not.

        Raises:
            CallCycle: Whoever has it waits, over other servers, for an instrument of this chain of calls.
        """
        if lock.acquire_now():
            return
        place = lock.take_place()
        self._waits_for = lock
        try:
            # What holds nothing itself keeps nobody waiting.
            patience = _SUSPICIOUS_SECONDS if self.incoming else -1.0
            while not lock.wait(place, patience):
                patience = min(2 * patience, _LONGEST_PATIENCE)
                cycle = find_cycle(lock.key, {key for key, _ in self.incoming}, self._all_waits())
                if cycle and lock.key == max(wait.wanted for wait in cycle):
                    raise CallCycle(_text_of(cycle, [*self.incoming, self._link(path)]))
        except BaseException:
            # A place that nobody waits at would keep the instrument from everybody behind it.
            lock.leave(place)
            self._what = None
            raise
        finally:
            self._waits_for = None

    @property
    def is_in_line(self) -> bool:
        """Whether the present request has an instrument, or a place among those who wait for it; for any thread."""
        what = self._what
        return what is not None and (
            self._held is not None or self._waits_for is not None or what[0] in _WITHOUT_INSTRUMENT
        )

    def waits(self) -> Wait | None:
        """Return what this client waits for and keeps others waiting with; for any thread."""
        what, lock = self._what, self._waits_for
        if what is None or lock is None or not self.incoming:
            return None
        return Wait(lock.key, [key for key, _ in self.incoming], [*self.incoming, self._link(what[1])])

    def end(self) -> None:
        """Let the next call have the instrument."""
        lock = self._held
        self._held = self._what = None
        if lock is not None:
            lock.drop()
            if lock.places:
                lock.call_next()

    @contextmanager
    def busy_with(self, hosted: Locked, operation: str, path: str) -> Iterator[None]:
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
            "state": "running" if held is not None or operation in _WITHOUT_INSTRUMENT else "waiting",
        }

    def chain(self) -> list[Link]:
        """Return the instruments that wait for what this thread is doing, outermost first; for any thread."""
        what, held = self._what, self._held
        if what is None:
            return []
        return [*self.incoming, [held.key if held else "", self._link(what[1])[1]]]

    def _link(self, path: str) -> Link:
        return ["", str(Address(self._server_address, path))]

    def refuse_cycle(self, hosted: Locked, path: str) -> None:
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


def _text_of(cycle: list[Wait], own: list[Link]) -> str:
    """Return what to tell the caller who is refused so that the others can go on."""
    chains = " and ".join(" -> ".join(name for _, name in wait.chain) for wait in cycle if wait.chain != own)
    return (
        f"{' -> '.join(name for _, name in own)} and {chains}: these calls wait for each other's instruments and "
        f"would wait for ever; read the value from the cache, pass it as an argument, or make the calls in turn"
    )
