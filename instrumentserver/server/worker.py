"""One thread for each connection: reads a request, carries it out, sends the reply."""

from __future__ import annotations

import functools
import itertools
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from instrumentserver.errors import InstrumentServerError, ProtocolError
from instrumentserver.transport.chain import current_work
from instrumentserver.transport.connection import FLOAT_BYTES, Connection, frame_before_float, frame_of
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS, greet_client
from instrumentserver.transport.segments import Lender
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
        token: What the client must prove to know.
        dispatcher: Carries out the requests.
        handles: The handles of this connection.
        new_codec: Makes a codec with these handles.
        welcome: What a client is told at the beginning.
        where: The server, for the headings of tracebacks.
        log_levels: What the clients want to hear of.
        watches: Follows what the clients watch.
        all_waits: Returns the calls that wait for an instrument, on all servers.
        on_introduced: Called with the worker once the client has proven himself; may block.
        on_ended: Called with the worker when the connection has ended.

    Attributes:
        is_passing: Whether the client only looks in, as one who searches: it keeps no server alive.
    """

    def __init__(
        self,
        sock: socket.socket,
        token: bytes,
        dispatcher: Dispatcher,
        handles: ServerHandles,
        new_codec: Callable[[ServerHandles], Codec],
        welcome: dict[str, Any],
        where: str,
        log_levels: LogLevels,
        watches: Watches,
        all_waits: Callable[[], list[Wait]],
        on_introduced: Callable[[Worker], None],
        on_ended: Callable[[Worker], None],
    ) -> None:
        super().__init__(name="connection", daemon=True)
        self._sock = sock
        self._token = token
        self._dispatcher = dispatcher
        self._handles = handles
        self._new_codec = new_codec
        self._welcome = welcome
        self._where = where
        self._log_levels = log_levels
        self._watches = watches
        self._all_waits = all_waits
        self._on_introduced = on_introduced
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
            logger.info("a connection was refused: %s", error)
            self._sock.close()
            self._on_ended(self)
            return
        except BaseException:
            self._sock.close()
            self._on_ended(self)
            raise
        try:
            if self._is_for_events:
                ClientEvents(connection, self._watches).run()
            else:
                self._serve(connection)
        except (EOFError, OSError):
            pass  # The client has gone; nobody is left to be told.
        except ProtocolError as error:
            logger.warning("the connection of %s was closed: %s", self.caller and self.caller.who, error)
        except Exception:
            logger.exception("the connection of %s was closed", self.caller and self.caller.who)
        finally:
            connection.close()
            self._on_ended(self)

    def is_settled(self) -> bool:
        """Return whether its latest request has its place in the line of an instrument, or is done; for any thread."""
        return not self.is_alive() or (self.caller is not None and self.caller.is_in_line)

    def close(self) -> None:
        """Cut the connection; the call that is under way ends first."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _greet(self) -> Connection:
        self._sock.settimeout(HANDSHAKE_SECONDS)
        greet_client(self._sock, self._token)
        introduction = Connection(self._sock, Codec(), _INTRODUCTION_LIMITS).receive()
        if not isinstance(introduction, dict):
            raise ProtocolError("the first message is no introduction")
        self._is_for_events = bool(introduction.pop("events", False))
        self.is_passing = bool(introduction.pop("passing", False))
        self._sock.settimeout(None)
        connection = Connection(self._sock, self._new_codec(self._handles))
        self.caller = Caller(
            self._welcome["address"], introduction, self._handles.met, self._all_waits, self._where
        )
        current_work.set(self.caller)
        welcome = {**self._welcome, "connection": self.number}
        if introduction.pop("segments", False) and Lender.is_possible():
            with suppress(OSError):
                lender = Lender()
                welcome["segments"] = lender.place
                connection.lend_from(lender)
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
                if isinstance(error, OSError) and connection.is_cut():
                    raise
                self._send_failure(connection, error, printed)

    def _send_failure(self, connection: Connection, error: BaseException, printed: Collected) -> None:
        failure = dump_failure(error, self._where)
        # The frames hold the arguments and the instrument; nothing of them may outlive the call.
        error.__traceback__ = None
        connection.send([0, None, printed.take(), failure])


# What most calls return is known in advance, at most but for eight bytes: not to encode it again saves 0.3 us.
@functools.lru_cache(64)
def _frame_of_nothing(version: int) -> bytes:
    return frame_of([version, None])


@functools.lru_cache(64)
def _frame_before_float(version: int) -> bytes:
    return frame_before_float([version])
