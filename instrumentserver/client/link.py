"""The link of a remote instrument: one session, one name, and every proxy below it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from instrumentserver.errors import InstrumentServerError, NotPortable
from instrumentserver.schema import InstrumentSchema
from instrumentserver.transport.address import Address
from instrumentserver.wire.messages import Op

from .objects.functions import request_with_functions
from .session import Session

__all__ = ["Link"]


class Link:
    """Carries the calls of all proxies of one instrument, and notices when its tree has changed.

    Args:
        session: The session with its server.
        name: The instrument's name.
        schema: Its schema.

    Attributes:
        version: Number of the latest change of the tree that the proxies show.
        apply: Brings the proxies up to a schema.
        stand_for: Returns what a call returned, with somebody for what stayed on the server.
        find_lent: Returns the proxy of a parameter that another instrument lends, None if there is none.
    """

    def __init__(self, session: Session, name: str, schema: InstrumentSchema) -> None:
        self.session = session
        self.name = name
        self.version = schema.version
        self.apply: Callable[[InstrumentSchema], None] = lambda schema: None
        self.find_lent: Callable[[str], Any] = lambda address: None
        self.stand_for: Callable[[Any], Any] = lambda value: value
        self._refreshing = threading.RLock()
        self._is_refreshing = False

    def request(self, operation: str, path: str, *arguments: Any) -> Any:
        """Have the server carry out an operation and return the value; see `Session.request`."""
        reply = self.session.request([operation, path, *arguments])
        if reply[0] != self.version:
            self.notice(reply[0])
        return reply[1]

    def call(self, path: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a method on the server and return what it returns, or what stands for it.

        Functions among the arguments stay here, and are called from there.
        """
        try:
            value = self.request(Op.CALL, path, name, list(args), dict(kwargs))
        except NotPortable as error:
            request = [Op.CALL, path, name, list(args), dict(kwargs)]
            value = request_with_functions(self.session, request, error, self._send_with_functions)[1]
        return self.stand_for(value)

    def _send_with_functions(self, request: list[Any]) -> list[Any]:
        return [0, self.request(*request)]

    def notice(self, version: int) -> None:
        """Bring the proxies up to date, since a reply carried another version than theirs.

        Fails silently: the next reply brings the version again.
        """
        if not version or not self._refreshing.acquire(blocking=False):
            return
        try:
            if not self._is_refreshing:
                self._refresh()
        except (InstrumentServerError, LookupError):
            pass
        finally:
            self._refreshing.release()

    def refresh(self) -> None:
        """Bring the proxies up to date; nothing happens in a thread that is just doing it."""
        with self._refreshing:
            if not self._is_refreshing:
                self._refresh()

    def take(self, schema: InstrumentSchema) -> None:
        """Bring the proxies up to a schema that has come already."""
        with self._refreshing:
            self.apply(schema)
            self.version = schema.version

    def address(self, path: str = "") -> Address:
        """Return the address of a part of the instrument, by default of the instrument itself."""
        return Address(self.session.address, path or self.name)

    def _refresh(self) -> None:
        self._is_refreshing = True
        try:
            schema: InstrumentSchema = self.session.request([Op.SCHEMA, self.name])[1]
            self.apply(schema)
            self.version = schema.version
        finally:
            self._is_refreshing = False
