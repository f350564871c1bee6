"""A session: one client process's acquaintance with one server."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from instrumentserver.directory import Directory, Record
from instrumentserver.errors import (
    CallTimeout,
    ConnectFailed,
    InstrumentServerError,
    ProtocolError,
    ServerLost,
)
from instrumentserver.transport.address import Address, is_network_address
from instrumentserver.transport.chain import current_work
from instrumentserver.transport.connection import Connection
from instrumentserver.transport.exits import describe_exit, last_lines
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS
from instrumentserver.transport.keepalive import LINE_ERRORS
from instrumentserver.transport.tls import connection_over
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import CHAINED, Op

from .introduction import forget_session, introduction
from .listening import log_levels, tell, told_levels
from .way import LocalWay, NetworkWay

__all__ = ["Session", "known_sessions", "session_with", "time_limit"]

logger = logging.getLogger(__name__)

_MOST_IDLE: Final = 16
_PATIENCE: Final = 1.0
"""How long Ctrl-C waits for a busy server, seconds."""
_LEAST_PATIENCE: Final = 0.25
_LEAST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
"""How seldom a server on a network is looked for at the most, seconds."""
_time_limit: Final[ContextVar[float | None]] = ContextVar("time_limit", default=None)


class Session:
    """Connections to one server, as many as there are calls at the same time.

    Any number of threads may use it. A connection is used by one thread for one call; what ends a call early
    (Ctrl-C, a time limit) closes it, so that a late answer is never taken for the next one's.

    Args:
        address: The server's address.
        new_codec: Makes a codec that knows handles.
        directory: Where the server's record and the token are.

    Attributes:
        is_remote: Whether the server is on a network.
        welcome: What the server said of itself on the latest connection.
        on_anew: Called with a connection before its first use, when the server may have forgotten this session.
    """

    def __init__(self, address: str, new_codec: Callable[[Session], Codec], directory: Directory) -> None:
        self.address = address
        self._directory = directory
        # TCP takes what is sent to a peer that has gone, and tells afterwards; a Unix socket refuses it.
        self._may_be_cut = not address.startswith("unix:")
        self.is_remote = is_network_address(address)
        self._way = NetworkWay(address, directory) if self.is_remote else LocalWay(address, directory)
        self.told: Callable[[Address], str] = self._way.told
        self.welcome: dict[str, Any] = {}
        self._try_again = 0.0
        self._pause = 0.0
        self._new_codec = new_codec
        self._idle: list[Connection] = []
        self._given_up: list[Connection] = []
        self._open: set[Connection] = set()
        self._record: Record | None = None
        self._told_levels: dict[str, int] | None = None
        self.on_anew: Callable[[Connection], None] = lambda connection: None
        self._may_be_forgotten = False

    def new_codec(self) -> Codec:
        """Return a codec like those of the connections."""
        return self._new_codec(self)

    def request(self, request: list[Any], frame: bytes | None = None) -> list[Any]:
        """Send a request and return the reply, ``[version, value, ...]``, blocking until it is there.

        Args:
            request: The operation, the path, and the arguments.
            frame: Its bytes, as `frame_of` returns them, where it is made often.

        Raises:
            NotPortable: Something in the request cannot travel. Nothing was sent.
            ConnectFailed: The server is not there. Nothing was sent.
            ServerLost: The server went away before it answered; the request may have been carried out.
            CallTimeout: The time set with `time_limit` ran out; the request is carried out all the same.
            Exception: Whatever the driver raised.
        """
        if self not in told_levels:
            self._tell_log_levels()
        work = current_work.get()
        if work is not None:
            chain = work.chain()
            if chain:
                request, frame = [CHAINED, chain, *request], None
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            try:
                if self._may_be_cut and connection.is_cut():
                    connection = self._reconnect(connection)
                connection.send(request, frame)
            except OSError:
                # The server never acts on an incomplete request, so this one may be sent again.
                connection = self._reconnect(connection)
                connection.send(request, frame)
            reply: list[Any] = connection.receive(_time_limit.get())
        except ProtocolError:
            self._discard(connection)
            raise
        except (EOFError, OSError) as error:
            self._may_be_forgotten |= not isinstance(error, CallTimeout)
            if self.is_remote and isinstance(error, OSError) and error.errno in LINE_ERRORS:
                # To connect anew would only take more time.
                self._close(connection)
                self.close()
                raise self._lost(error) from None
            self._discard(connection)
            if isinstance(error, InstrumentServerError):
                raise
            if isinstance(error, OSError) and error.errno is None:
                # No word of the system's: a signal handler raised it, as time limits of others do.
                raise
            raise self._lost(error) from None
        except InstrumentServerError:
            self._idle.append(connection)
            raise
        except BaseException:
            self._discard(connection)
            raise
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            self._close(connection)
        if len(reply) > 2:
            _finish(*reply[2:])
        return reply

    @property
    def is_open(self) -> bool:
        """Whether there is a connection with the server now."""
        return bool(self._open)

    def greet(self, patience: float = HANDSHAKE_SECONDS) -> None:
        """Make sure that the server is there and knows us.

        Args:
            patience: How long each step may take, seconds.

        Raises:
            ConnectFailed: It is not.
        """
        self._idle.append(self._connect(patience=patience))

    def open_events(self) -> Connection:
        """Return a new connection over which the server tells events.

        Raises:
            ConnectFailed: The server is not there.
        """
        return self._connect(purpose="events")

    def ask_in_passing(self, request: list[Any], patience: float) -> Any:
        """Return the value of a reply, asked for on a connection of its own that does not keep the server alive.

        Args:
            request: As for `request`.
            patience: How long each step may take, seconds.

        Raises:
            ConnectFailed: The server is not there.
            ServerLost: It went away before it answered.
            CallTimeout: It did not answer in time.
        """
        connection = self._connect(patience=patience, purpose="passing")
        try:
            connection.send(request)
            reply = connection.receive(patience)
        except (EOFError, OSError) as error:
            if isinstance(error, InstrumentServerError):
                raise
            raise self._lost(error) from None
        finally:
            self._close(connection)
        if len(reply) > 2:
            _finish(*reply[2:])
        return reply[1]

    def is_there(self) -> bool:
        """Return whether it is worth while to connect now: a local server has a record, others are asked seldom."""
        if self.is_remote:
            return time.monotonic() >= self._try_again
        scheme, _, name = self.address.partition(":")
        return scheme != "unix" or self._directory.find(name) is not None

    def reason(self) -> str:
        """Return what is known about why the server is not there."""
        return self._last_words("ended" if self._record is not None else "is not there")

    def _tell_log_levels(self) -> None:
        """Have the server forward what the loggers here want since their levels were changed."""
        # First the note: a change meanwhile is seen the next time.
        told_levels[self] = True
        if self._given_up:
            with suppress(ConnectFailed, CallTimeout):
                self._idle.append(self._connect())
        levels = log_levels()
        if levels == self._told_levels:
            return
        self._told_levels = levels
        try:
            self.request([Op.LOG_LEVELS, "", levels])
        except (ConnectFailed, ServerLost):
            pass  # What was to be asked of it tells.

    def close(self) -> None:
        """Close all idle connections; the next request opens a new one."""
        while self._idle:
            self._close(self._idle.pop())

    def wait_until_gone(self, timeout: float) -> bool:
        """Wait until the server has closed an idle connection of ours; return whether it did within ``timeout`` s."""
        try:
            connection = self._idle.pop()
        except IndexError:
            return True
        try:
            connection.receive(timeout)
        except TimeoutError:
            return False
        except (EOFError, OSError, ProtocolError):
            return True
        finally:
            self._close(connection)
            self.close()
        return False

    def abandon(self) -> None:
        """Close all connections at once, also those in use; in a forked child, the parent goes on using its own."""
        for connection in list(self._open):
            connection.close()
        self._open = set()
        self._idle = []
        self._given_up = []

    def _connect(
        self,
        instead_of: Connection | None = None,
        patience: float = HANDSHAKE_SECONDS,
        *,
        purpose: str = "",
    ) -> Connection:
        """Return a new connection.

        Args:
            instead_of: One that was given up in the middle of a call. The server takes the new one into service
                once that call has begun, or has a place in the line for its instrument: nothing overtakes it.
            patience: How long each step may take, seconds.
            purpose: "events" to be told events over it, "passing" to look in without keeping the server alive.
        """
        directory = self._directory
        limit = _time_limit.get()
        if limit is not None and instead_of is None:
            patience = min(patience, limit)
        scheme, _, name = self.address.partition(":")
        if scheme == "unix":
            record = directory.find(name)
            if record is None:
                raise ConnectFailed(self._last_words("is not running"))
            self._record = record
        try:
            line = self._way.reach(patience)
        except OSError as error:
            self._put_off()
            if isinstance(error, InstrumentServerError):
                raise
            raise self._not_connected(error, patience, f"does not take connections ({error})") from error
        connection = None
        try:
            self._way.greet(line, patience)
            connection = connection_over(line, self._new_codec(self))
            told_levels[self] = True
            self._told_levels = log_levels()
            if not self._open:
                # The server has forgotten a session without connections.
                self._may_be_forgotten = True
            given_up = list(self._given_up)
            wishes: dict[str, Any] = {
                "log_levels": self._told_levels,
                "after": None if instead_of is None else instead_of.number,
                "given_up": [[each.number, each.codec.received] for each in given_up],
            }
            if purpose:
                wishes[purpose] = True
            if not (purpose or self._may_be_cut):
                wishes["segments"] = True
                connection.borrow()
            if self.is_remote:
                wishes["address"] = self.address
            connection.send({**introduction(), **wishes})
            if instead_of is not None:
                instead_of.finish_sending()
            self.welcome = welcome = connection.receive()
            connection.number = welcome["connection"]
            for each in given_up:
                with suppress(ValueError):  # Another thread told it, too.
                    self._given_up.remove(each)
            if self._may_be_forgotten and not purpose:
                self.on_anew(connection)
                self._may_be_forgotten = False
            line.settimeout(None)
            self._try_again = self._pause = 0.0
        except BaseException as error:
            line.close()
            self._put_off()
            if connection is not None and connection.number:
                # What the server has counted on it did not arrive.
                self._given_up.append(connection)
                told_levels.pop(self, None)
            if isinstance(error, EOFError | OSError) and not isinstance(error, InstrumentServerError):
                raise self._not_connected(error, patience, "closed the connection at once") from error
            raise
        if purpose != "passing":
            self._open.add(connection)
        return connection

    def _not_connected(self, error: Exception, patience: float, what: str) -> InstrumentServerError:
        """Return the error for a connection that did not come about."""
        if not isinstance(error, TimeoutError):
            return ConnectFailed(self._last_words(what))
        # It is there, and hangs: how it ended is not to be asked.
        text = f"{self.address} does not answer within {patience:g} s; it hangs, or it is stopped"
        return CallTimeout(text) if patience == _time_limit.get() else ConnectFailed(text)

    def _put_off(self) -> None:
        """Have those who look again and again for a server on a network do so more and more seldom."""
        self._pause = min(max(2 * self._pause, _LEAST_PAUSE), _LONGEST_PAUSE)
        self._try_again = time.monotonic() + self._pause

    def _lost(self, error: Exception) -> ServerLost:
        """Return the error for a call whose connection ended."""
        if self.is_remote and isinstance(error, OSError) and error.errno in LINE_ERRORS:
            return ServerLost(
                f"the line to {self.address} is cut: its computer has been silent for "
                f"{self._way.line_timeout:g} s; the call may have been carried out"
            )
        return ServerLost(self._last_words("ended before it answered"))

    def close_events(self, connection: Connection) -> None:
        """Close a connection that `open_events` returned, waking the thread that waits for events."""
        connection.shutdown()
        self._close(connection)

    def _reconnect(self, broken: Connection) -> Connection:
        self._close(broken)
        self.close()
        self._may_be_forgotten = True
        return self._connect()

    def _discard(self, connection: Connection) -> None:
        """Close a connection without a defined position; what was asked on it comes before what is asked next."""
        self._given_up.append(connection)
        try:
            with suppress(InstrumentServerError, OSError, EOFError):
                # A caller in a hurry shall not wait for a server that hangs.
                limit = _time_limit.get()
                patience = _PATIENCE if limit is None else min(_PATIENCE, max(limit, _LEAST_PATIENCE))
                self._idle.append(self._connect(connection, patience))
        finally:
            self._close(connection)
            if connection in self._given_up:
                # This was interrupted, or took too long: the next request tells the server before it asks.
                told_levels.pop(self, None)

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()

    def _last_words(self, what: str) -> str:
        """Return what is known about a server that is not there: how it ended, and the end of its log."""
        if self.is_remote:
            name = f"{self.welcome['name']!r} " if "name" in self.welcome else ""
            return (
                f"server {name}at {self.address} {what}; its own computer knows more: instrumentserver list"
            )
        name = self.address.removeprefix("unix:")
        text = f"server {name!r} {what}"
        record = self._record
        if record is None:
            return f"{text}; start it with start_server({name!r}), or create an instrument on it"
        ended = describe_exit(record.pid)
        text = f"{text} ({ended})" if ended else text
        lines = last_lines(Path(record.log))
        return f"{text}; the end of its log {record.log}:\n{lines}" if lines else text


def _finish(told: list[list[Any]] | None, failure: dict[str, Any] | None = None) -> None:
    """Print, log and warn what the driver printed, logged and warned of, and raise what it raised."""
    try:
        for kind, content in told or ():
            tell(kind, content)
    except Warning as warning:
        # The user's filters make it an error; the driver's own error comes first.
        if failure is None:
            raise
        logger.debug("%s", warning)
    if failure is not None:
        raise load_failure(failure)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Limit the time that each call in the block may take to be answered.

    Args:
        seconds: The limit, seconds; None for none, as it is outside any block.

    A call over the limit raises `CallTimeout`; the server finishes it all the same. The limit holds for the
    present thread and context.
    """
    before = _time_limit.get()
    try:
        # Inside: Ctrl-C may come right after it, and the limit would hold for ever.
        _time_limit.set(seconds)
        yield
    finally:
        _time_limit.set(before)


_sessions: Final[dict[tuple[str, str], Session]] = {}
_guard: Final = threading.Lock()


def session_with(address: str, new_codec: Callable[[Session], Codec]) -> Session:
    """Return this process's session with the server at an address; it need not be there yet."""
    directory = Directory.default()
    key = (str(directory.root), address)
    with _guard:
        session = _sessions.get(key)
        if session is None:
            if not _sessions:
                atexit.register(_close_all)
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(after_in_child=_after_fork)
            session = _sessions[key] = Session(address, new_codec, directory)
        return session


def known_sessions() -> list[Session]:
    """Return the sessions of this process, with whatever directory."""
    with _guard:
        return list(_sessions.values())


def _close_all() -> None:
    """Close all connections when Python ends; a later exit handler that calls a server gets a new one."""
    for session in _sessions.values():
        session.abandon()


def _after_fork() -> None:
    forget_session()
    for session in _sessions.values():
        session.abandon()
