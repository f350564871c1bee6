"""One thread for each connection: reads a request, carries it out, sends the reply."""

from __future__ import annotations

import functools
import itertools
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import InstrumentServerError, ProtocolError
from instrumentserver.transport.chain import current_work
from instrumentserver.transport.connection import FLOAT_BYTES, Connection, frame_before_float, frame_of
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS
from instrumentserver.transport.keepalive import LINE_ERRORS
from instrumentserver.transport.tls import connection_over
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.framing import Limits
from instrumentserver.wire.messages import CHAINED

from .caller import Caller
from .cycles import Wait
from .dispatcher import Dispatcher
from .events import ClientEvents
from .forwarding import LogLevels
from .handles import ServerHandles
from .listeners import Guest, Listener
from .output import Collected, collect_printed
from .watches import Watches

__all__ = ["Worker"]

logger = logging.getLogger(__name__)

_numbers: Final = itertools.count(1)

_INTRODUCTION_LIMITS: Final = Limits(message=1 << 16, buffers=0, total=0)


class Worker(threading.Thread):
    """Serves one connection until its client goes.

    Args:
        sock: The accepted socket.
        listener: Knows what the client must prove.
        dispatcher_for: Returns what carries out the requests of a client.
        handles: The handles of this connection.
        new_codec: Makes a codec with these handles, for a client on a network or a local one.
        welcome: What a client is told at the beginning.
        where: The server, for the headings of tracebacks.
        log_levels: What the clients want to hear of.
        watches: Follows what the clients watch.
        all_waits: Returns the calls that wait for an instrument, on all servers.
        on_met: Called with the guest, before anything else of him is decoded, once he has introduced himself.
        on_introduced: Called with the worker once the client can be served; may block.
        on_ended: Called with the worker when the connection has ended, and with whether that is because his computer
            has been silent for too long.

    Attributes:
        guest: Who has proven himself; None until then.
        handles: The handles of this connection.
        is_passing: Whether the client only looks in, as one who searches: it keeps no server alive.
    """

    def __init__(
        self,
        sock: socket.socket,
        listener: Listener,
        dispatcher_for: Callable[[Guest], Dispatcher],
        handles: ServerHandles,
        new_codec: Callable[[ServerHandles, bool], Codec],
        welcome: dict[str, Any],
        where: str,
        log_levels: LogLevels,
        watches: Watches,
        all_waits: Callable[[], list[Wait]],
        on_met: Callable[[Guest, Caller, ServerHandles], None],
        on_introduced: Callable[[Worker], None],
        on_ended: Callable[[Worker, bool], None],
    ) -> None:
        super().__init__(name="connection", daemon=True)
        self._sock = sock
        self._listener = listener
        self._dispatcher_for = dispatcher_for
        self.handles = handles
        self._new_codec = new_codec
        self._welcome = welcome
        self._where = where
        self._log_levels = log_levels
        self._watches = watches
        self._all_waits = all_waits
        self._on_met = on_met
        self._on_introduced = on_introduced
        self.guest: Guest | None = None
        self._on_ended = on_ended
        self.caller: Caller | None = None
        self.number = next(_numbers)
        self.is_passing = False
        self._is_for_events = False

    def run(self) -> None:
        """Greet the client and serve him."""
        try:
            connection = self._greet()
        except (InstrumentServerError, OSError, EOFError) as error:
            logger.info("a connection%s was refused: %s", self._whence(), error)
            self._sock.close()
            self._on_ended(self, False)
            return
        except BaseException:
            self._sock.close()
            self._on_ended(self, False)
            raise
        is_silent = False
        try:
            if self._is_for_events and self.caller is not None:
                events = ClientEvents(connection, self._watches)
                self._dispatcher.open_events(
                    self.caller, self._new_codec(self.handles, self.caller.is_remote), events
                )
                events.run()
            else:
                self._serve(connection)
        except (EOFError, OSError) as error:
            # The client has gone; nobody is left to be told.
            is_silent = isinstance(error, OSError) and error.errno in LINE_ERRORS
            if is_silent:
                logger.warning("the line to %s is cut: %s", self.caller and self.caller.who, error)
        except ProtocolError as error:
            logger.warning("the connection of %s was closed: %s", self.caller and self.caller.who, error)
        except Exception:
            logger.exception("the connection of %s was closed", self.caller and self.caller.who)
        finally:
            connection.close()
            self._on_ended(self, is_silent)

    def is_settled(self) -> bool:
        """Return whether its latest request has its place in the line of an instrument, or is done; for any thread."""
        return not self.is_alive() or (self.caller is not None and self.caller.is_in_line)

    def close(self) -> None:
        """Cut the connection; the call that is under way ends first."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _whence(self) -> str:
        """Return where a client on a network comes from, for people; "" for a local one."""
        try:
            host = self._listener.host_of(self._sock.getpeername())
        except OSError:
            return ""
        return f" from {host}" if host else ""

    def _greet(self) -> Connection:
        self._sock.settimeout(HANDSHAKE_SECONDS)
        guest = self.guest = self._listener.let_in(self._sock)
        introduction = connection_over(guest.line, Codec(), _INTRODUCTION_LIMITS).receive()
        if not isinstance(introduction, dict):
            raise ProtocolError("the first message is no introduction")
        self._is_for_events = bool(introduction.pop("events", False))
        self.is_passing = bool(introduction.pop("passing", False))
        self._sock.settimeout(None)
        codec = self._new_codec(self.handles, guest.is_remote)
        connection = connection_over(guest.line, codec)
        self.caller = Caller(
            self._welcome["address"], introduction, self.handles.met, self._all_waits, self._where
        )
        self.caller.address_of = self.handles.address_of
        self._dispatcher = self._dispatcher_for(guest)
        self._on_met(guest, self.caller, self.handles)
        self._dispatcher.meet(self.caller, self.handles, codec)
        current_work.set(self.caller)
        welcome = {**self._welcome, "connection": self.number, "role": guest.role}
        if introduction.pop("segments", False) and not guest.is_remote:
            connection.lend()
        self._on_introduced(self)
        connection.send(welcome)
        return connection

    def _serve(self, connection: Connection) -> None:
        caller, handle = self.caller, self._dispatcher.handle
        assert caller is not None
        printed = collect_printed()
        self._log_levels.work_for(caller.session)
        receive, send, met = connection.receive, connection.send, caller.met
        while True:
            if met or caller.incoming:
                met.clear()
                caller.incoming = []
                caller.references.end()
            # Nothing of a call may be kept until the next one: a device, say, whose last user let go of it.
            request = reply = None
            try:
                request = receive()
            except ProtocolError:
                raise
            except InstrumentServerError as error:
                # The request came whole, but something that it names could not be found.
                self._send_failure(connection, error, printed)
                continue
            try:
                if request[0] == CHAINED:
                    caller.incoming = request[1]
                    request = request[2:]
                reply = handle(caller, request)
                try:
                    if printed:
                        send([*reply, list(printed)])
                        printed.forget()
                    elif reply[1] is None:
                        send(reply, _frame_of_nothing(reply[0]))
                    elif type(reply[1]) is float:
                        send(reply, _frame_before_float(reply[0]) + FLOAT_BYTES(reply[1]))
                    else:
                        send(reply)
                finally:
                    # Also where nobody waits for the reply any more.
                    if caller.after_reply is not None:
                        caller.after_reply()
                if caller.after_reply is not None:
                    return
            except BaseException as error:
                caller.references.take_back()
                # By its type: of some errors not even an attribute can be read.
                if issubclass(type(error), OSError) and connection.is_cut():
                    raise
                self._send_failure(connection, error, printed)

    def _send_failure(self, connection: Connection, error: BaseException, printed: Collected) -> None:
        failure = dump_failure(error, self._where)
        # The frames hold the arguments and the instrument; nothing of them may outlive the call.
        # A class may refuse assignments, as frozen dataclasses do.
        BaseException.with_traceback(error, None)
        connection.send([0, None, printed.take(), failure])


# What most calls return is known in advance, at most but for eight bytes: not to encode it again saves 0.3 us.
@functools.lru_cache(64)
def _frame_of_nothing(version: int) -> bytes:
    return frame_of([version, None])


@functools.lru_cache(64)
def _frame_before_float(version: int) -> bytes:
    return frame_before_float([version])
