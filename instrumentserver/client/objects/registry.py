"""Which objects of servers this process has: one proxy of each, and what is told to the servers about it."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from instrumentserver.transport.address import Address
from instrumentserver.wire.codec import Codec, Extension
from instrumentserver.wire.messages import CALLBACK_CODE, OBJECT_CODE, Op

from .classes import proxy_class
from .functions import load as load_function
from .proxy import RemoteObject
from .releasing import Held, Releaser

if TYPE_CHECKING:
    from instrumentserver.client.session import Session
    from instrumentserver.transport.connection import Connection

__all__ = ["ObjectLink", "handle_codec", "link_with"]

_MOST_AT_ONCE: Final = 10_000
_MOST_HANDLES: Final = 64
"""Of an object that comes again and again so many handles are kept; one is enough to have it."""


class ObjectLink:
    """The objects of one server that this process has.

    Args:
        session: The session with the server.

    Attributes:
        session: The same.
        request: Sends a request and returns the reply: `Session.request`.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.request = session.request
        session.on_anew = self._declare
        self._held: dict[str, Held] = {}
        self._classes: dict[int, type[RemoteObject]] = {}
        self._guard = threading.RLock()

    def address(self, path: str) -> Address:
        """Return the address of an object."""
        return Address(self.session.address, path)

    def known(self, path: str) -> RemoteObject | None:
        """Return the proxy of an object if this process has one."""
        held = self._held.get(path)
        return None if held is None else held()

    def take(self, path: str, number: int, serial: int) -> RemoteObject:
        """Return the proxy for a handle that has come.

        Args:
            path: The object.
            number: Of its class.
            serial: Of the handle.
        """
        held = self._held.get(path)
        proxy = None if held is None or held.number != number else held()
        if held is None or proxy is None:
            held, proxy = self._make(path, number)
        serials = held.serials
        serials.append(serial)
        if len(serials) > _MOST_HANDLES:
            self._let_go_of_all_but_one(held)
        return proxy

    def forget(self, held: Held) -> None:
        """Forget a proxy that is gone."""
        with self._guard:
            if self._held.get(held.path) is held:
                del self._held[held.path]

    def _let_go_of_all_but_one(self, held: Held) -> None:
        with self._guard:
            count = len(held.serials) - 1
            # Noted first: if Ctrl-C comes in between, they are told twice.
            _releasers[0].note(_Spent(self, held.path, held.serials[:count]))
            del held.serials[:count]

    def find(self, path: str) -> Any:
        """Return the proxy of an object, which this process holds from now on.

        Raises:
            UnknownName: There is none; the message says what became of it.
        """
        return self.request([Op.OBJECT_FIND, path])[1]

    def begin_anew(self) -> None:
        """Be the link of a child that was just forked, which has what its parent has, and no handle of its own yet."""
        self._guard = threading.RLock()
        for held in list(self._held.values()):
            proxy = held()
            if proxy is not None:
                self._hold(proxy, held.path, held.number)

    def _declare(self, connection: Connection) -> None:
        """Tell the server, which may have forgotten it, what this process has."""
        proxies = [(held, proxy) for held in list(self._held.values()) if (proxy := held()) is not None]
        for first in range(0, len(proxies), _MOST_AT_ONCE):
            some = proxies[first : first + _MOST_AT_ONCE]
            connection.send([Op.OBJECT_HOLD, "", [held.path for held, _ in some]])
            serials = connection.receive()[1] or ()
            for (held, _), serial in zip(some, serials, strict=False):
                if serial is not None:
                    held.serials.append(serial)
                    connection.codec.received = serial

    def _make(self, path: str, number: int) -> tuple[Held, RemoteObject]:
        cls = self._classes.get(number)
        if cls is None:
            schema = self.session.request([Op.OBJECT_CLASS, "", number])[1]
            cls = proxy_class(schema)
            if schema.kind != "function":
                # Of a function there is one proxy only.
                cls = self._classes.setdefault(number, cls)
        made = object.__new__(cls)
        with self._guard:
            held = self._held.get(path)
            proxy = None if held is None or held.number != number else held()
            if held is not None and proxy is not None:
                # Another thread was faster.
                return held, proxy
            vars(made).update(_link=self, _path=path)
            held = self._hold(made, path, number)
        _releasers[0].start()
        return held, made

    def _hold(self, proxy: RemoteObject, path: str, number: int) -> Held:
        held = Held(proxy, _releasers[0].note)
        held.link, held.path, held.number, held.serials = self, path, number, []
        vars(proxy)["_held"] = self._held[path] = held
        return held


class _Spent(NamedTuple):
    """Handles that are not needed any more, of an object that is: what a `Held` is to the releaser.

    Attributes:
        link: The server.
        path: The object.
        serials: The serial numbers of the handles.
    """

    link: ObjectLink
    path: str
    serials: list[int]


def handle_codec(session: Session, extensions: Sequence[Extension]) -> Codec:
    """Return a codec for one connection, which makes proxies of the handles that come in.

    Args:
        session: The session that the connection belongs to.
        extensions: What else it can encode and decode.
    """
    take = link_with(session).take

    def load(plain: Any) -> RemoteObject:
        place, number, serial = plain
        proxy = take(place[1:], number, serial)
        if serial > codec.received:
            codec.received = serial
        return proxy

    codec = Codec(extensions, {OBJECT_CODE: load, CALLBACK_CODE: functools.partial(load_function, session)})
    return codec


_releasers: Final = [Releaser()]
"""The one of this process."""
_links: Final[dict[Session, ObjectLink]] = {}
_guard: Final = threading.Lock()


def link_with(session: Session) -> ObjectLink:
    """Return what this process has of the objects of a server."""
    link = _links.get(session)
    if link is None:
        with _guard:
            link = _links.get(session)
            if link is None:
                link = _links[session] = ObjectLink(session)
    return link


def _after_fork() -> None:
    # What is noted to the parent's is none of ours.
    _releasers[0] = Releaser()
    for link in list(_links.values()):
        link.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
