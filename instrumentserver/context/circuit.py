"""Circuits: the connections of one Context with one server, at one priority."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from instrumentserver.client.callbacks import run_soon
from instrumentserver.client.events import stream_of
from instrumentserver.client.registry import open_session, proxies
from instrumentserver.client.session import Session, time_limit
from instrumentserver.errors import InstrumentServerError
from instrumentserver.schema import ChannelSchema
from instrumentserver.wire.messages import Op

from .asker import end_searches_at_exit
from .log import OwnLevel

if TYPE_CHECKING:
    from .context import Context
    from .endpoint import Endpoint
    from .subscription import Subscription

__all__ = ["VirtualCircuit", "VirtualCircuitManager"]

logger = logging.getLogger("instrumentserver.circ")

_RECHECK_SECONDS: Final = 5.0
_circuits: Final[weakref.WeakSet[VirtualCircuitManager]] = weakref.WeakSet()


class VirtualCircuit(NamedTuple):
    """Where a circuit leads.

    Attributes:
        address: The server's address.
        priority: The priority with which it was asked for, 0 to 99; of no effect here.
    """

    address: str
    priority: int


class VirtualCircuitManager:
    """Holds what a Context has connected on one server at one priority; never made by users.

    Args:
        context: Whose it is.
        address: The server's address.
        priority: The priority.

    Attributes:
        circuit: Where it leads.
        context: Whose it is.
        log: Of its requests and responses, ``instrumentserver.circ``; its level concerns this circuit alone.
        dead: Whether it was closed; there will be another one when something is connected there again.
        pvs: What is connected there, or was until the server went away.
    """

    def __init__(self, context: Context, address: str, priority: int) -> None:
        self.circuit = VirtualCircuit(address, priority)
        self.context = context
        self.session: Session = open_session(address)
        self.dead = threading.Event()
        self.pvs: set[Endpoint] = set()
        self._stream = stream_of(self.session)
        self._is_connected = False
        self._is_open = False
        self._is_held = False
        # Somebody else in this process may hold the server, and not through a Context.
        known = next((each for each in list(_circuits) if each.session is self.session), None)
        self._was_used_before: bool = self.session.is_open if known is None else known._was_used_before
        self._changed: set[str] = set()
        self._guard = threading.Lock()
        self._opening = threading.Lock()
        ours = f"pid:{os.getpid()}"
        extra = {"pv": "", "role": "CLIENT", "our_address": ours, "their_address": address, "direction": ""}
        self.log = OwnLevel(logger, extra)
        _circuits.add(self)

    @property
    def connected(self) -> bool:
        """Whether the server is there."""
        return self._is_connected

    @property
    def subscriptions(self) -> dict[int, Subscription]:
        """What the server was asked to tell, by number."""
        found = [each for pv in list(self.pvs) for each in pv.subscriptions.values()]
        return {each.subscriptionid: each for each in found if each.subscriptionid is not None}

    def time_since_last_heard(self) -> float:
        """Return how long ago the server said anything, seconds."""
        return self._stream.time_since_last_heard()

    def events_off(self) -> None:
        """Have no subscription here tell anything; the server keeps the newest update of each."""
        self._is_held = True
        self._stream.hold(list(self.subscriptions.values()))

    def events_on(self) -> None:
        """Have each subscription here tell its newest update, and go on."""
        self._is_held = False
        self._stream.resume(list(self.subscriptions.values()))

    def hold_if_off(self, subscription: Subscription) -> None:
        """Hold a subscription that was begun while events are off."""
        if self._is_held:
            self._stream.hold([subscription])

    # For the Context

    def open(self) -> bool:
        """Connect, if it is not yet; return whether the server is there. May block for a time."""
        with self._opening:
            if not self._is_open and not self.dead.is_set():
                self._is_open = True
                self._stream.add_listener(self)
                end_searches_at_exit()
        return self._is_connected

    def close(self) -> None:
        """Let go of the server."""
        with self._opening:
            self.dead.set()
            self._is_connected = False
            if self._is_open:
                self._is_open = False
                self._stream.remove_listener(self)
        _circuits.discard(self)
        self.log.debug("circuit to %s closed", self.circuit.address)
        is_shared = any(circuit.session is self.session for circuit in list(_circuits))
        has_proxies = any(root._link.session is self.session for root in proxies())
        if not (is_shared or has_proxies or self._was_used_before):
            # Idle connections would keep the server alive for nobody.
            self.session.close()

    def request(self, request: list[Any], pvs: Iterable[Endpoint]) -> list[Any]:
        """Return the items of a reply, logging both at level DEBUG, for this circuit and the PVs.

        Raises:
            Exception: As `Session.request`.
        """
        logs = [pv.log for pv in pvs if pv.has_log and pv.log.isEnabledFor(logging.DEBUG)]
        if self.log.isEnabledFor(logging.DEBUG):
            logs.append(self.log)
        if not logs:
            return self.session.request(request)[1]  # type: ignore[no-any-return]
        for log in logs:
            log.debug("%s %.500s", request[0], request[2], extra={"direction": "--->>>"})
        items: list[Any] = self.session.request(request)[1]
        for log in logs:
            log.debug("answered %.500s", items, extra={"direction": "<<<---"})
        return items

    # What the stream tells, on the thread that receives events

    def stream_connected(self) -> None:
        """Hear that the server is there."""
        if self.dead.is_set():
            return
        self._is_connected = True
        self.context.tell_news()
        self.log.debug("circuit to %s connected", self.circuit.address)
        if self._is_held:
            self._stream.hold(list(self.subscriptions.values()))
        self.context.broadcaster.search_now(self.circuit.address)

    def stream_disconnected(self, reason: str) -> None:
        """Hear that the server is gone."""
        self._is_connected = False
        self.log.debug("circuit to %s disconnected: %s", self.circuit.address, reason)
        self.context.lost(self, list(self.pvs), reason)

    def instruments_changed(self, names: list[str]) -> None:
        """Hear that parameters may have come or gone."""
        self.context.broadcaster.search_now(self.circuit.address)
        with self._guard:
            is_waiting = bool(self._changed)
            self._changed.update(names)
        if not is_waiting:
            run_soon(self)

    def run(self) -> None:
        """Look which of the PVs are there still, on a thread for callbacks."""
        with self._guard:
            names, self._changed = self._changed, set()
        self.check([pv for pv in list(self.pvs) if pv.path.partition(".")[0] in names])

    def check(self, pvs: list[Endpoint]) -> None:
        """Look which PVs are there still, and what they are now."""
        pvs = [pv for pv in pvs if pv.connected]
        if not pvs or not self._is_connected:
            return
        try:
            with time_limit(_RECHECK_SECONDS):
                rows = self.session.request([Op.CHANNELS, "", [pv.path for pv in pvs]])[1]
        except InstrumentServerError as error:
            self.log.debug("what changed is not known: %s", error)
            return
        gone = [pv for pv, row in zip(pvs, rows, strict=True) if row is None]
        for pv, row in zip(pvs, rows, strict=True):
            if row is not None:
                self.context.changed(pv, ChannelSchema(*row))
        if gone:
            self.context.lost(self, gone, "its instrument or the parameter was removed")

    def __repr__(self) -> str:
        state = "CONNECTED" if self._is_connected else "DISCONNECTED"
        address, priority = self.circuit
        return f"<VirtualCircuitManager address={address!r} priority={priority} state={state} pvs={len(self.pvs)}>"
