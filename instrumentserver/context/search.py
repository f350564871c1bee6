"""The search: which server has the parameter of a name. In the background, for as long as it takes."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from instrumentserver.directory import Directory, Record
from instrumentserver.schema import ChannelSchema

from .asker import Asker, is_ending, start_thread
from .names import ChannelName, parse_server

__all__ = ["Searcher", "SharedBroadcaster"]

logger = logging.getLogger("instrumentserver.search")

_LOOK_SECONDS: Final = 0.05
"""How often the directory is looked at while something is searched."""
_JOIN_SECONDS: Final = 2.5


class Searcher(Protocol):
    """Somebody who searches."""

    def found(self, address: str, channels: list[tuple[str, ChannelSchema]]) -> None:
        """Hear on which server parameters are, by the names that were searched; may block."""


class SharedBroadcaster:
    """Searches parameters by name on the servers of this user, for any number of Contexts.

    Every server is asked by a thread of its own, with one message for all names: one that hangs delays nobody.
    Servers that come, and instruments that come on connected servers, are asked at once; all others again and again,
    0.4 s apart, after some time 1 s. Being asked keeps no server alive.

    Args:
        registration_retry_time: Of no effect; there is no repeater here that one would register with.
        servers: Addresses or names of servers to ask, beside the local ones.
        local: Whether all servers of this user's directory are asked; otherwise only ``servers``, and those that a
            name says itself.

    Attributes:
        log: Of servers that come and go, ``instrumentserver.bcast``.
    """

    def __init__(
        self, *, registration_retry_time: float = 10.0, servers: Iterable[str] = (), local: bool = True
    ) -> None:
        self.registration_retry_time = registration_retry_time
        self.log = logging.getLogger("instrumentserver.bcast")
        self._servers = tuple(
            parse_server(server) for server in ([servers] if isinstance(servers, str) else servers)
        )
        self._is_local = local
        self._directory = Directory.default()
        self._heard: dict[str, float] = {}
        self._begin_anew()
        self._is_disconnected = False
        _all.add(self)

    def _begin_anew(self) -> None:
        self._guard = threading.RLock()
        self._pending: dict[str, tuple[ChannelName, list[Searcher]]] = {}
        self._places: dict[str, str] = {}
        self._askers: dict[str, Asker] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    # For Contexts

    def search(self, searcher: Searcher, names: Iterable[ChannelName]) -> None:
        """Search parameters until they are found, or `cancel` is called. Never blocks."""
        with self._guard:
            if self._is_disconnected or is_ending():
                return
            for name in names:
                self._places.pop(name.text, None)
                searchers = self._pending.setdefault(name.text, (name, []))[1]
                if searcher not in searchers:
                    searchers.append(searcher)
            if not self._pending:
                return
            askers = list(self._askers.values())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="instrumentserver search", daemon=True)
                start_thread(self._thread)
        self._wake.set()
        for asker in askers:
            asker.ask_now()

    def cancel(self, *names: str, searcher: Searcher | None = None) -> None:
        """Search these names no more.

        Args:
            names: As they were searched.
            searcher: For whom; None for all.
        """
        with self._guard:
            for name in names:
                _, searchers = self._pending.get(name, (None, []))
                searchers[:] = [each for each in searchers if searcher is not None and each is not searcher]
                if not searchers:
                    self._pending.pop(name, None)

    @property
    def pending(self) -> list[str]:
        """The names that are searched now."""
        with self._guard:
            return list(self._pending)

    # For users

    def search_now(self, address: str | None = None) -> None:
        """Ask again at once what has not been found.

        Args:
            address: Only the server at this address.
        """
        with self._guard:
            askers = [asker for asker in self._askers.values() if address in (None, asker.address)]
        self._wake.set()
        for asker in askers:
            asker.ask_now()

    def time_since_last_heard(self) -> dict[str, float]:
        """Return how long ago each server answered a search, seconds, by address."""
        now = time.monotonic()
        return {address: now - heard for address, heard in list(self._heard.items())}

    def disconnect(self, *, wait: bool = True) -> None:
        """Search no more, for anybody; for ever.

        Args:
            wait: Whether to wait until the threads have ended. One whose server hangs may take 2 s.
        """
        with self._guard:
            self._is_disconnected = True
            self._pending.clear()
            askers = list(self._askers.values())
            thread = self._thread
        self._wake.set()
        for asker in askers:
            asker.ask_now()
        if wait:
            for each in (thread, *(asker.thread for asker in askers)):
                if each is not None and each is not threading.current_thread():
                    each.join(_JOIN_SECONDS)

    # The threads

    def _run(self) -> None:
        """Look for servers while there is something to search."""
        seen: object = None
        records: list[Record] = []
        while True:
            with self._guard:
                if not self._pending or is_ending():
                    self._thread = None
                    return
                self._wake.clear()
            now = self._signature()
            if now != seen:
                try:
                    records = self._directory.records()
                    seen = now
                except OSError as error:
                    self.log.debug("the directory cannot be read: %s", error)
            self._want_askers(records)
            self._wake.wait(_LOOK_SECONDS)

    def _signature(self) -> object:
        """Return something that is different when a server has come."""
        try:
            with os.scandir(self._directory.root) as entries:
                return sorted(
                    (entry.name, entry.stat().st_mtime_ns, entry.stat().st_ino)
                    for entry in entries
                    if entry.name.endswith(".json")
                )
        except OSError:
            return None

    def _want_askers(self, records: Sequence[Record]) -> None:
        """Have a thread for every server that may have something."""
        with self._guard:
            wanted = {name.server for name, _ in self._pending.values()}
            addresses = {
                record.address: (record.pid, record.started)
                for record in records
                if self._is_local or {record.address, f"unix:{record.name}"} & {*self._servers, *wanted}
            }
            names = {record.address: f"unix:{record.name}" for record in records}
            for address in (*self._servers, *wanted):
                if address.startswith(("tcp:", "tls:")):
                    addresses.setdefault(address, (0, ""))
            for address, identity in addresses.items():
                asker = self._askers.get(address)
                if asker is not None and asker.identity == identity:
                    continue
                if not any(
                    self._concerns(name, address, names.get(address, ""))
                    for name, _ in self._pending.values()
                ):
                    continue
                self.log.debug("server at %s is asked", address)
                asker = Asker(
                    *(address, names.get(address, address), identity),
                    *(self._names_for, self._answered, self._forget),
                )
                self._askers[address] = asker
                asker.begin()

    def _concerns(self, name: ChannelName, address: str, by_name: str) -> bool:
        if name.server:
            return name.server in (address, by_name)
        return self._is_local or bool({address, by_name} & {*self._servers})

    def _names_for(self, asker: Asker) -> list[ChannelName]:
        """Return what to ask a server for; none ends its thread, which is in the table no more then."""
        with self._guard:
            is_current = self._askers.get(asker.address) is asker
            names = [
                name
                for name, _ in self._pending.values()
                if self._concerns(name, asker.address, asker.by_name)
            ]
            if not is_current or not names or is_ending():
                if is_current:
                    del self._askers[asker.address]
                return []
            return names

    def _forget(self, asker: Asker) -> None:
        """Let go of a server that is not there any more."""
        with self._guard:
            if self._askers.get(asker.address) is asker:
                del self._askers[asker.address]
        self.log.debug("server at %s is gone", asker.address)

    def _answered(self, asker: Asker, names: list[ChannelName], rows: list[list[object] | None]) -> None:
        """Hand a server's answer to those who search."""
        self._heard[asker.address] = time.monotonic()
        found: dict[int, tuple[Searcher, list[tuple[str, ChannelSchema]]]] = {}
        debug = logger.isEnabledFor(logging.DEBUG)
        with self._guard:
            for name, row in zip(names, rows, strict=True):
                if row is None:
                    continue
                _, searchers = self._pending.pop(name.text, (name, ()))
                first = self._places.setdefault(name.text, asker.address)
                if first != asker.address:
                    logger.warning(
                        "%s is on two servers: %s answered first and is used, %s is not; "
                        "write %s/%s if that one is meant",
                        *(name.text, first, asker.address, asker.address, name.path),
                    )
                    continue
                schema = ChannelSchema(*row)  # type: ignore[arg-type]  # the server made it of one
                for searcher in searchers:
                    found.setdefault(id(searcher), (searcher, []))[1].append((name.text, schema))
        if debug:
            count = sum(row is not None for row in rows)
            logger.debug("%s has %d of %d names", asker.address, count, len(names))
        for searcher, channels in found.values():
            try:
                searcher.found(asker.address, channels)
            except Exception:
                logger.exception("%r could not be told what was found", searcher)


_all: Final[weakref.WeakSet[SharedBroadcaster]] = weakref.WeakSet()


def _after_fork() -> None:
    """Search nothing in a forked child: the threads are its parent's."""
    for broadcaster in _all:
        broadcaster._begin_anew()
        broadcaster._is_disconnected = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
