"""The server: accepts clients, lives while it is used, ends in order."""

from __future__ import annotations

import logging
import os
import platform
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import qcodes

from instrumentserver.directory import Claim, Directory, Record
from instrumentserver.errors import NotPortable, ProtocolError
from instrumentserver.schema import validator_extension, vector_extension
from instrumentserver.transport.exits import tail
from instrumentserver.transport.keys import ROLES, ServerKeys
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.messages import CALLBACK_CODE
from instrumentserver.wire.shipping import CODE_REFUSAL, code_extension

from .absent import Absent
from .caller import Caller
from .cycles import Wait
from .dispatcher import Dispatcher
from .doors import Doors
from .ending import end_by_force_after
from .forwarding import LogLevels
from .greeting import Greeting
from .handles import RemoteHandles, ServerHandles
from .held import HeldObjects
from .instruments import Instruments
from .listeners import Listener, LocalListener
from .objects import Objects
from .options import ServerOptions
from .watches import Watches
from .worker import Worker

__all__ = ["InstrumentServer"]

logger = logging.getLogger(__name__)

_FIRST_CLIENT_SECONDS: Final = 30.0
"""How long a new server waits for its first client, whatever its linger."""
_SILENT_SECONDS: Final = 60.0
"""How long what a client has is kept when its line fell silent, as with a pulled cable."""
_END_SECONDS: Final = 20.0
_ASK_AGAIN_SECONDS: Final = 5.0
"""How often a server that only servers use asks whether these are used."""
_SETTLE_SECONDS: Final = 2.0
"""How long a connection waits for the request that its client sent before on another one."""


class InstrumentServer:
    """Hosts instruments and serves clients until it is stopped or nobody uses it any more.

    Args:
        options: Name, address, linger.
        directory: Where its record goes.
        claim: Its right to the name.
        remote: How it deals with the instruments of other servers.
    """

    def __init__(
        self, options: ServerOptions, directory: Directory, claim: Claim, remote: RemoteHandles
    ) -> None:
        self._options = options
        self._directory = directory
        self._claim = claim
        self._remote = remote
        self._linger = options.linger
        self._started = datetime.now().astimezone()
        self._workers: set[Worker] = set()
        self._absent = Absent(_SILENT_SECONDS, self._end_session)
        self._greeting = Greeting()
        self._log = ""
        self._had_client = False
        self._was_used = False
        self._unused_since = time.monotonic()
        self._guard = threading.Lock()
        self._is_stopping = threading.Event()
        self._closing = threading.Lock()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        local = LocalListener(options.listen, directory.socket_path(options.name), directory.token())
        self.address = local.address
        self._doors = Doors(options.name, directory, local)
        self.instruments = Instruments(options.name, self._new_codec)
        self._held = HeldObjects(self.instruments.target, self._is_portable)
        self.instruments.held_target = self._held.target
        self.instruments.before_close = self._held.drop_instrument
        self._log_levels = LogLevels()
        self._where = f"server {options.name!r} (pid {os.getpid()})"
        self._watches = Watches(self.instruments, self._poll_caller)
        self.objects = Objects(options.name, self.instruments, remote, self._is_portable)
        self._dispatcher = Dispatcher(self.instruments, self, self._is_portable, self._held, self.objects)
        self._limited = {role: self._dispatcher.limited_to(role) for role in ROLES}
        self._doors.open(options.network, options.allow, insecure=options.insecure)

    def publish(self, log: str) -> None:
        """Write the record, after which clients find the server."""
        self._log = log
        self._claim.publish(
            Record(
                name=self._options.name,
                address=self.address,
                pid=os.getpid(),
                started=self._started.isoformat(),
                log=log,
                addresses=tuple(self._doors.addresses[1:]),
            )
        )

    def run(self) -> None:
        """Serve until the end; close the instruments; give the name back.

        The process ends by force if that, and what comes after it, takes longer than 20 s.
        """
        logger.info("server %s listens at %s, pid %d", self._options.name, self.address, os.getpid())
        try:
            self._accept()
        finally:
            self.end_service()
            logger.info("server %s ended", self._options.name)

    def path_of(self, thing: object) -> str | None:
        """Return the path of a part of one of its instruments, or of an object that it serves, None for others."""
        served = self.objects.table.of(thing)
        return self.instruments.path_of(thing) if served is None else served.path

    def is_own(self, address: str) -> bool:
        """Return whether an address is one of this server."""
        return self._doors.is_own(address)

    def thing_at(self, path: str) -> object:
        """Return what a path leads to."""
        served = self.objects.table.entries.get(path)
        return self.instruments.target(path).thing if served is None else served.thing

    def request_stop(self) -> None:
        """Have `run` end soon; may be called from a signal handler."""
        self._is_stopping.set()
        self._wake()

    def close_instruments(self) -> None:
        """Close every instrument, and end every object that is served, once."""
        with self._closing:
            self.objects.close()
            self.instruments.close_all()

    # What a request may ask for

    def status(self) -> dict[str, Any]:
        """Return what the server is and does, as plain values."""
        with self._guard:
            workers = [worker for worker in self._workers if worker.caller is not None]
        callers = [worker.caller for worker in workers if worker.caller is not None]
        clients: dict[str, dict[str, Any]] = {}
        for caller in callers:
            client = clients.setdefault(caller.session, {**caller.introduction, "connections": 0})
            client["connections"] += 1
        activities = [caller.activity() for caller in (*callers, *self._watches.callers())]
        return {
            "name": self._options.name,
            "address": self.address,
            "addresses": list(self._doors.addresses),
            "allow": self._doors.allowed.patterns(),
            "pid": os.getpid(),
            "started": self._started.isoformat(),
            "linger": self._linger,
            "instruments": {hosted.name: type(hosted.instrument).__qualname__ for hosted in self.instruments},
            "objects": self.objects.roots.classes(),
            "shared_kwargs": {name: repr(value) for name, value in self.instruments.shared.values().items()},
            "clients": list(clients.values()),
            "watched": self._watches.counts(),
            "calls": [activity for activity in activities if activity and activity["operation"] != "status"],
            "python": platform.python_version(),
            "qcodes": qcodes.__version__,
        }

    def waits(self) -> list[Wait]:
        """Return the calls that wait for an instrument of this server and keep others waiting."""
        with self._guard:
            callers = [worker.caller for worker in self._workers if worker.caller is not None]
        callers.extend(self._watches.callers())
        return [wait for wait in (caller.waits() for caller in callers) if wait is not None]

    def _all_waits(self) -> list[Wait]:
        return [*self.waits(), *(Wait(*wait) for wait in self._remote.waits())]

    def extend_linger(self, linger: float | None) -> None:
        """Live at least ``linger`` seconds without clients; a shorter time than before changes nothing."""
        with self._guard:
            if self._linger is not None:
                self._linger = None if linger is None else max(linger, self._linger)

    def set_log_levels(self, session: str, levels: dict[str, int]) -> None:
        """Forward to a client what its loggers want."""
        self._log_levels.set(session, levels)

    def log(self, lines: int) -> str:
        """Return the end of the log file."""
        return tail(Path(self._log), lines)

    def listen(self, addresses: list[str], allow: list[str], insecure: bool) -> list[str]:
        """Listen at more addresses, and let clients on networks name more classes; return all addresses."""
        self._doors.open(addresses, allow, insecure=insecure)
        self.publish(self._log)
        self._wake()
        return list(self._doors.addresses)

    def check_tokens(self) -> int:
        """Cut the connections of clients whose token was made anew; return how many."""
        keys = ServerKeys(self._options.name)
        valid = keys.tokens() if keys.is_there else []
        with self._guard:
            guests = [(worker, worker.guest) for worker in self._workers]
        found = [worker for worker, guest in guests if guest and guest.is_remote and guest.token not in valid]
        for worker in found:
            worker.close()
        if found:
            logger.info("%d connections were cut, whose token was made anew", len(found))
        return len(found)

    def end_service(self) -> None:
        """Close the instruments, take no more clients, and give the name back; `request_stop` ends the process."""
        end_by_force_after(_END_SECONDS)
        self._doors.close()
        self.close_instruments()
        self._claim.release()

    def is_unused(self) -> bool:
        """Return whether there is no instrument, no object, and only one client."""
        with self._guard:
            sessions = {worker.caller.session for worker in self._workers if worker.caller is not None}
        return not len(self.instruments) and not self.objects.roots.names() and len(sessions) <= 1

    # The accept loop

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_out, selectors.EVENT_READ)
            due: float | None = time.monotonic() + _FIRST_CLIENT_SECONDS
            deadline = due
            while not self._is_stopping.is_set():
                for listener in self._doors.take_new():
                    selector.register(listener.sock, selectors.EVENT_READ, listener)
                timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = [key for key, _ in selector.select(timeout)]
                if not ready and deadline is not None and time.monotonic() >= deadline:
                    if self._is_used_by_servers():
                        due = deadline = time.monotonic() + _ASK_AGAIN_SECONDS
                        continue
                    logger.info("nobody uses server %s any more", self._options.name)
                    return
                for key in ready:
                    if key.data is None:
                        self._wake_out.recv(4096)
                    elif not self._is_stopping.is_set():
                        self._begin_connection(key.data)
                due = self._due(due)
                # Who says his opening words is waited for, but changes nothing if he only looks in.
                deadline = None if self._greeting else due

    def _due(self, before: float | None) -> float | None:
        """Return when to end if no client comes that is no server itself, None for never."""
        with self._guard:
            if self._linger is None or self._has_users():
                return None
            if before is not None and not self._was_used:
                return before
            self._was_used = False
            return time.monotonic() + (self._linger if self._had_client else _FIRST_CLIENT_SECONDS)

    def is_used(self, asked: list[str]) -> bool:
        """Return whether anybody but servers uses this server, or did until lately, or uses servers that use it.

        Args:
            asked: Addresses of servers that have been asked already.
        """
        with self._guard:
            if self._linger is None or self._has_users() or self._greeting:
                return True
            if time.monotonic() < self._unused_since + self._linger:
                return True
        return self._is_used_by_servers(asked)

    def _is_used_by_servers(self, asked: Sequence[str] = ()) -> bool:
        """Return whether a server that is a client of this one is used itself: two that use each other must end."""
        with self._guard:
            servers = {worker.caller.server for worker in self._workers if worker.caller is not None}
        return self._remote.is_used(sorted(servers - {"", *asked}), [*asked, self.address])

    def _has_users(self) -> bool:
        return any(
            worker.caller is None or not (worker.caller.server or worker.is_passing)
            for worker in self._workers
        )

    def _begin_connection(self, listener: Listener) -> None:
        try:
            sock, peer = listener.sock.accept()
        except OSError:
            return
        worker = Worker(
            sock,
            listener,
            lambda guest: self._limited[guest.role] if guest.is_remote else self._dispatcher,
            ServerHandles(self.address, self.instruments, self._remote),
            self._codec_with,
            {
                "name": self._options.name,
                "address": self.address,
                "addresses": list(self._doors.addresses),
                "pid": os.getpid(),
                "id": self.instruments.server_id,
            },
            self._where,
            self._log_levels,
            self._watches,
            self._all_waits,
            self._doors.meet,
            self._introduced,
            self._ended,
        )
        with self._guard:
            crowded_out = self._greeting.enter(worker, listener.host_of(peer))
        if crowded_out is not None:
            # Strangers who say nothing must not keep clients out.
            crowded_out.close()
        worker.start()

    def _introduced(self, worker: Worker) -> None:
        with self._guard:
            self._greeting.leave(worker)
            self._workers.add(worker)
            if not worker.is_passing:
                self._had_client = self._was_used = True
        caller = worker.caller
        if caller is None:
            return
        self._absent.came(caller.session)
        if "log_levels" in caller.introduction:
            self._log_levels.set(caller.session, caller.introduction.pop("log_levels"))
        after = caller.introduction.pop("after", None)
        for number, received in _pairs(caller.introduction.pop("given_up", [])):
            for known in self._connections_of(caller.session, number):
                known.references.give_up(received)
            self.objects.give_up(caller, number, received)
        if after is not None:
            self._let_pass(after, caller.session)

    def _connections_of(self, session: str, number: int) -> list[Caller]:
        """Return the client at the other end of a connection, if it is one of this session."""
        with self._guard:
            callers = [worker.caller for worker in self._workers if worker.number == number]
        return [caller for caller in callers if caller is not None and caller.session == session]

    def _let_pass(self, number: int, session: str) -> None:
        """Wait until a connection that its client gave up in the middle of a call has begun with that call."""
        with self._guard:
            found = [
                worker for worker in self._workers if worker.number == number and worker.caller is not None
            ]
        give_up = time.monotonic() + _SETTLE_SECONDS
        for worker in found:
            if worker.caller is not None and worker.caller.session == session:
                while not worker.is_settled() and time.monotonic() < give_up:
                    time.sleep(0.0005)

    def _ended(self, worker: Worker, is_silent: bool) -> None:
        if worker.caller is not None:
            # First: a client that gave this connection up finds it among the workers or there.
            self.objects.connection_ended(worker.caller, worker.number)
        with self._guard:
            self._greeting.leave(worker)
            self._workers.discard(worker)
            if not (worker.is_passing or self._has_users()):
                self._unused_since = time.monotonic()
            caller = worker.caller
            is_last = caller is not None and all(
                other.caller is None or other.caller.session != caller.session for other in self._workers
            )
        if caller is not None and is_last:
            self._absent.left(caller.session, is_silent)
        self._wake()

    def _end_session(self, session: str) -> None:
        """Let go of what a client had."""
        self._held.drop_session(session)
        self.objects.session_ended(session)
        self._log_levels.drop(session)

    def _wake(self) -> None:
        """Have the accept loop look at what has changed."""
        try:
            self._wake_in.send(b"\0")
        except OSError:
            pass

    # Codecs

    def _is_portable(self, value: Any) -> bool:
        try:
            self._new_codec().encode(value)
        except NotPortable:
            return False
        return True

    def _codec_with(self, handles: ServerHandles, is_remote: bool = False) -> Codec:
        code = code_extension(CODE_REFUSAL if is_remote else "")
        return Codec(
            [handles.extension(), validator_extension(), vector_extension(), code],
            {CALLBACK_CODE: lambda plain: handles.load_function(plain)},
        )

    def _poll_caller(self) -> Caller:
        """Return the one for whom watched parameters are read: the server itself."""
        introduction = {"program": f"server {self._options.name}, for those who watch", "pid": os.getpid()}
        return Caller(self.address, introduction, [], self._all_waits, self._where)

    def _new_codec(self) -> Codec:
        handles = ServerHandles(self.address, self.instruments, self._remote)
        return self.objects.keeping_codec(handles, self._codec_with(handles), self.address)


def _pairs(given_up: Any) -> list[list[int]]:
    """Return the connections that a client says it gave up: number and latest handle that it received, each.

    Raises:
        ProtocolError: That is something else.
    """
    if isinstance(given_up, list) and all(
        isinstance(pair, list) and [type(number) for number in pair] == [int, int] for pair in given_up
    ):
        return given_up
    raise ProtocolError(f"{given_up!r:.80} is no list of connections")
