"""Pyro's daemon: speaks its protocol, and calls what a table has."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import Pyro5.api
import Pyro5.server

from instrumentserver.errors import UsageError

from .connections import Connections
from .failures import remote_traceback
from .table import Table
from .values import ARRAY_CLASS, load_array

__all__ = ["Daemon"]


@Pyro5.api.expose
class Answers(Pyro5.server.DaemonObject):  # type: ignore[misc]
    """The object by which clients ask what an object has; each does before anything else."""

    def get_metadata(self, objectId: str) -> Any:
        """Return what an object has."""
        self.daemon.prepare(objectId)
        return super().get_metadata(objectId)


class _Objects(dict[str, Any]):
    """Adapters by id, which says of an id that it does not know what became of it."""

    def __init__(self, known: dict[str, Any], table: Table) -> None:
        super().__init__(known)
        self._table = table

    def get(self, pyro_id: str, default: Any = None) -> Any:
        found = super().get(pyro_id)
        if found is None and isinstance(pyro_id, str):
            raise self._table.unknown(pyro_id)
        return found


class Daemon(Pyro5.api.Daemon):  # type: ignore[misc]
    """Listens from its making until `close`; `requestLoop` accepts connections.

    Args:
        host: Where it listens.
        port: The same; 0 for any free one.
        find_root: Has the table show what the server serves under a name now.

    Attributes:
        table: What it shows.

    Raises:
        UsageError: It cannot listen there.
    """

    def __init__(self, host: str, port: int, find_root: Callable[[str], None]) -> None:
        # Threads alone can wait for a slow call without keeping all others from theirs.
        Pyro5.config.SERVERTYPE = "thread"
        Pyro5.api.register_dict_to_class(ARRAY_CLASS, load_array)
        self._find_root = find_root
        self._greeted = threading.local()
        self.table = Table(self)
        try:
            # Pyro leaves its socket open if it cannot listen.
            socket.create_server((host, port)).close()
            super().__init__(host=host, port=port, interface=Answers)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error}; choose another port") from error
        self.objectsById: dict[str, Any] = _Objects(self.objectsById, self.table)
        self.transportServer.pool.close()
        self.transportServer.pool = self.connections = Connections()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.sock.getsockname()[1])

    def prepare(self, pyro_id: str) -> None:
        """Look for an object of that id; keep it for the connection that is made for it, if one is being made now."""
        if not self.table.has_made(pyro_id):
            self._find_root(pyro_id)
        connection = getattr(self._greeted, "connection", None)
        if connection is not None:
            self.table.keep(pyro_id, connection)

    def clientDisconnect(self, conn: Any) -> None:
        """Let go what only this connection kept."""
        self.table.drop(conn)

    def _handshake(self, conn: Any, denied_reason: str | None = None) -> bool:
        self._greeted.connection = conn
        try:
            is_welcome: bool = super()._handshake(conn, denied_reason)
        finally:
            self._greeted.connection = None
        if not is_welcome:
            self.table.drop(conn)
        return is_welcome

    def _sendExceptionResponse(
        self, connection: Any, seq: int, serializer_id: int, exc_value: Exception, tbinfo: Any, **more: Any
    ) -> None:
        super()._sendExceptionResponse(
            connection, seq, serializer_id, exc_value, remote_traceback(exc_value) or tbinfo, **more
        )
