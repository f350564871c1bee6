"""The Context: PVs by name, searched and connected in the background."""

from __future__ import annotations

import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema

from .channel import AccessRights, Channel
from .circuit import VirtualCircuitManager
from .defaults import default_timeout, user_name
from .endpoint import Endpoint
from .errors import ContextDisconnectedError
from .names import parse_name
from .pv import PV
from .search import SharedBroadcaster
from .subscription import Subscription, SubscriptionKey

__all__ = ["CONTEXT_DEFAULT_TIMEOUT", "Context"]

logger = logging.getLogger("instrumentserver.ctx")

CONTEXT_DEFAULT_TIMEOUT: Final[Any] = object()
"""As a time limit: that of the Context."""
_HIGHEST_PRIORITY: Final = 99
_CIRCUIT_SECONDS: Final = 0.5

ConnectionCallback = Callable[[PV, str], Any]
AccessRightsCallback = Callable[[PV, AccessRights], Any]


class Context:
    """Connects with parameters by name, on any server.

    Args:
        broadcaster: Searches for it, and for other Contexts; None makes one of its own.
        timeout: The time limit of PVs that give none, seconds; None for none. By default that of the environment
            variable INSTRUMENTSERVER_TIMEOUT, else 2 s.
        host_name: Of no effect but to be remembered; by default the computer's.
        client_name: Of no effect but to be remembered; by default the user's.
        max_workers: Of no effect but to be remembered: the callbacks of each subscription and of each PV run in
            order, and one that is slow delays no other.
        servers: Addresses or names of servers to search beside the local ones.
        local: Whether all servers of this user's directory are searched; otherwise only ``servers``, and those that
            a name says itself.

    Attributes:
        timeout: The time limit of PVs that give none, seconds; None for none.
        pvs: Its PVs, by name and priority.
        circuit_managers: What it has connected on each server, by address and priority.
        broadcaster: Searches for it.
        log: ``instrumentserver.ctx``.
        guard: Held while its state and its PVs' is changed, never while anything is waited for.
    """

    def __init__(
        self,
        broadcaster: SharedBroadcaster | None = None,
        *,
        timeout: float | None = CONTEXT_DEFAULT_TIMEOUT,
        host_name: str | None = None,
        client_name: str | None = None,
        max_workers: int = 1,
        servers: Iterable[str] = (),
        local: bool = True,
    ) -> None:
        if broadcaster is not None and (servers or not local):
            raise UsageError(
                "servers and local concern the search; give them to the SharedBroadcaster, which has one"
            )
        self.timeout = default_timeout() if timeout is CONTEXT_DEFAULT_TIMEOUT else timeout
        self.host_name = socket.gethostname() if host_name is None else host_name
        self.client_name = user_name() if client_name is None else client_name
        self.max_workers = max_workers
        self.log = logger
        self._owns_broadcaster = broadcaster is None
        self.broadcaster = (
            SharedBroadcaster(servers=servers, local=local) if broadcaster is None else broadcaster
        )
        self.pvs: dict[tuple[str, int], PV] = {}
        self.circuit_managers: dict[tuple[str, int], VirtualCircuitManager] = {}
        self._searching: dict[str, set[Endpoint]] = {}
        self._why_useless = ""
        self.guard = threading.RLock()
        self._news = threading.Condition(self.guard)
        _all.add(self)

    def get_pvs(
        self,
        *names: str,
        priority: int = 0,
        connection_state_callback: ConnectionCallback | None = None,
        access_rights_callback: AccessRightsCallback | None = None,
        timeout: float | None = CONTEXT_DEFAULT_TIMEOUT,
    ) -> list[PV]:
        """Return the PVs of some names, at once; they connect in the background.

        Args:
            names: ``dac.ch1.v``, ``dac:ch1:v``, ``unix:foo/dac.ch1.v`` or ``foo/dac.ch1.v`` on the server foo only.
            priority: The priority of their circuits, 0 to 99. A PV is made once for each name and priority.
            connection_state_callback: Called with the PV and "connected" or "disconnected", now if that is known,
                and whenever it changes, on a thread for callbacks.
            access_rights_callback: Called with the PV and its `AccessRights`, likewise.
            timeout: The time limit of their operations, seconds; None for none.

        Raises:
            UsageError: A name cannot be that of a parameter; nothing is searched then.
            ContextDisconnectedError: The Context was disconnected.
        """
        parsed = [parse_name(name) for name in names]
        if not isinstance(priority, int) or not 0 <= priority <= _HIGHEST_PRIORITY:
            raise UsageError(f"priority={priority!r} is none of 0 to {_HIGHEST_PRIORITY}; choose one of them")
        limit = self.timeout if timeout is CONTEXT_DEFAULT_TIMEOUT else timeout
        pvs, new = [], []
        with self.guard:
            self.check_usable()
            for name in parsed:
                pv = self.pvs.get((name.text, priority))
                if pv is None:
                    pv = self.pvs[name.text, priority] = PV(name, priority, self, limit)
                    self._searching.setdefault(name.text, set()).add(pv)
                    new.append(name)
                pvs.append(pv)
            for pv in pvs:
                if connection_state_callback is not None:
                    pv.connection_state_callback.add_callback(connection_state_callback)
                if access_rights_callback is not None:
                    pv.access_rights_callback.add_callback(access_rights_callback)
        if new:
            self.log.debug("%d names are searched", len(new))
            self.broadcaster.search(self, new)
        return pvs

    def disconnect(self, *, wait: bool = True) -> None:
        """Disconnect all PVs, for ever; a second call does nothing.

        Args:
            wait: Whether to wait until the threads of its search have ended.
        """
        with self.guard:
            if self._why_useless:
                return
            self._why_useless = "was disconnected"
            circuits = list(self.circuit_managers.values())
            pvs = list(self.pvs.values())
            self.circuit_managers.clear()
            self._searching.clear()
            for pv in pvs:
                pv.set_channel(None)
                pv.tell_state()
            self._news.notify_all()
        if self._owns_broadcaster:
            self.broadcaster.disconnect(wait=wait)
        else:
            self.broadcaster.cancel(*{pv.name for pv in pvs}, searcher=self)
        for pv in pvs:
            for subscription in pv.subscriptions.values():
                subscription.unbind("its Context was disconnected")
        for circuit in circuits:
            circuit.close()
        self.log.debug("disconnected")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.disconnect()

    def check_usable(self) -> None:
        """Make sure that it was not disconnected.

        Raises:
            ContextDisconnectedError: It was.
        """
        if self._why_useless:
            raise ContextDisconnectedError(f"this Context {self._why_useless}; make another one")

    # For the search

    def found(self, address: str, channels: list[tuple[str, ChannelSchema]]) -> None:
        """Hear on which server parameters are; connect with them. May block for a time."""
        by_priority: dict[int, list[tuple[Endpoint, ChannelSchema]]] = {}
        with self.guard:
            for name, schema in channels:
                for pv in self._searching.get(name, ()):
                    by_priority.setdefault(pv.priority, []).append((pv, schema))
        for priority, pairs in by_priority.items():
            self._connect(self._circuit(address, priority), pairs)

    def _circuit(self, address: str, priority: int) -> VirtualCircuitManager:
        with self.guard:
            circuit = self.circuit_managers.get((address, priority))
            if circuit is None or circuit.dead.is_set():
                circuit = VirtualCircuitManager(self, address, priority)
                self.circuit_managers[address, priority] = circuit
            return circuit

    def _connect(self, circuit: VirtualCircuitManager, pairs: list[tuple[Endpoint, ChannelSchema]]) -> None:
        if not circuit.open():
            # The search may have found a server that was started anew before the circuit has.
            with self._news:
                self._news.wait_for(lambda: circuit.connected or bool(self._why_useless), _CIRCUIT_SECONDS)
        connected: list[tuple[Endpoint, Channel]] = []
        left: list[VirtualCircuitManager] = []
        with self.guard:
            if self._why_useless or not circuit.connected:
                self.broadcaster.search(self, [pv.search_name for pv, _ in pairs])
            else:
                for pv, schema in pairs:
                    if self._stop_searching(pv):
                        left += self._attach(pv, circuit)
                        channel = Channel(pv.name, circuit, schema)
                        pv.set_channel(channel)
                        pv.tell_access_rights()
                        pv.tell_state()
                        connected.append((pv, channel))
                self._news.notify_all()
        for pv, channel in connected:
            for subscription in list(pv.subscriptions.values()):
                subscription.follow(channel)
        self.log.debug("%d connected at %s", len(connected), circuit.circuit.address)
        self._close_unused({circuit, *left})

    def _stop_searching(self, pv: Endpoint) -> bool:
        """Take a PV off the search; return whether it was on it."""
        searched = self._searching.get(pv.name, set())
        if pv not in searched:
            return False
        searched.discard(pv)
        if not searched:
            del self._searching[pv.name]
        return True

    def _attach(self, pv: Endpoint, circuit: VirtualCircuitManager) -> list[VirtualCircuitManager]:
        """Have a PV belong to a circuit; return the one to which it belonged before."""
        before = pv.circuit_manager
        pv.circuit_manager = circuit
        circuit.pvs.add(pv)
        if before is None or before is circuit:
            return []
        before.pvs.discard(pv)
        return [before]

    def _close_unused(self, circuits: Iterable[VirtualCircuitManager]) -> None:
        """Close circuits to which nothing belongs any more."""
        unused = []
        with self.guard:
            for circuit in circuits:
                if not circuit.pvs and not circuit.dead.is_set():
                    circuit.dead.set()
                    unused.append(circuit)
                    key = circuit.circuit.address, circuit.circuit.priority
                    if self.circuit_managers.get(key) is circuit:
                        del self.circuit_managers[key]
        for circuit in unused:
            circuit.close()

    # For the circuits

    def lost(self, circuit: VirtualCircuitManager, pvs: list[Endpoint], reason: str) -> None:
        """Hear that PVs are not there any more; search them. Never blocks."""
        gone = []
        with self.guard:
            if self._why_useless:
                return
            for pv in pvs:
                channel = pv.channel
                if channel is not None and channel.circuit is circuit:
                    pv.set_channel(None)
                    pv.tell_state()
                    self._searching.setdefault(pv.name, set()).add(pv)
                    gone.append(pv)
        for pv in gone:
            if pv.has_log:
                pv.log.debug("disconnected: %s", reason)
        self.broadcaster.search(self, [pv.search_name for pv in gone])

    def changed(self, pv: Endpoint, schema: ChannelSchema) -> None:
        """Hear what a PV is now."""
        with self.guard:
            channel = pv.channel
            if channel is None:
                return
            now = channel._replace(schema=schema)
            pv.set_channel(now)
            if now.access_rights != channel.access_rights:
                pv.tell_access_rights()

    # For the PVs

    def rest(self, pv: Endpoint) -> None:
        """Have a PV be idle."""
        with self.guard:
            circuit = pv.circuit_manager
            if (
                pv.channel is None
                or circuit is None
                or any(each.is_wanted for each in pv.subscriptions.values())
            ):
                return
            pv.set_channel(None)
            pv.is_idle = True
            circuit.pvs.discard(pv)
        for subscription in list(pv.subscriptions.values()):
            subscription.unbind("its PV is idle")
        if any(each.is_wanted for each in pv.subscriptions.values()):
            # A callback came at the same time.
            self.wake(pv)
        self._close_unused([circuit])

    def wake(self, pv: Endpoint) -> None:
        """Have an idle PV be searched."""
        with self.guard:
            if not pv.is_idle:
                return
            pv.is_idle = False
            self._searching.setdefault(pv.name, set()).add(pv)
        self.broadcaster.search(self, [pv.search_name])

    def subscription(self, pv: PV, key: SubscriptionKey) -> Subscription:
        """Return the subscription of a PV; the same one every time."""
        with self.guard:
            self.check_usable()
            found = pv.subscriptions.get(key)
            if found is None:
                found = pv.subscriptions[key] = Subscription(pv, key)
            return found

    def tell_news(self) -> None:
        """Have those who wait look again whether what they wait for holds."""
        with self._news:
            self._news.notify_all()

    def wait_until(self, is_so: Callable[[], bool], timeout: float | None) -> None:
        """Wait until something holds, or the time has run out.

        Raises:
            ContextDisconnectedError: The Context was disconnected.
        """
        with self._news:
            self._news.wait_for(lambda: is_so() or bool(self._why_useless), timeout)
            self.check_usable()

    def wait_for_news(self, timeout: float) -> None:
        """Wait until anything was connected or lost, or the time has run out."""
        with self._news:
            self._news.wait(timeout)

    def why_not(self, pv: Endpoint, what: str, timeout: float) -> str:
        """Return why a PV is not connected, and what to do."""
        circuit = pv.circuit_manager
        heard = sorted(self.broadcaster.time_since_last_heard())
        asked = f"; {', '.join(heard)} answered that they do not have it" if heard else "; no server answered"
        was = f"; it was on {circuit.circuit.address} before" if circuit is not None else asked
        return (
            f"{pv.name}: not connected within {timeout:g} s, which a {what} needs{was}; see to it that the instrument "
            f"is on a server, and that its name and its parameter's are right"
        )

    def __repr__(self) -> str:
        with self.guard:
            idle = sum(pv.is_idle for pv in self.pvs.values())
            return (
                f"<Context searches_pending={len(self._searching)} circuits={len(self.circuit_managers)} "
                f"pvs={len(self.pvs)} idle={idle}>"
            )


_all: Final[weakref.WeakSet[Context]] = weakref.WeakSet()


def _after_fork() -> None:
    """Have Contexts be of no use in a forked child: threads and connections are its parent's."""
    for context in _all:
        context.guard = threading.RLock()
        context._news = threading.Condition(context.guard)
        context._why_useless = "was made before this process was forked"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
