"""The table: which objects of the server Pyro's clients know, by which id, and who keeps them."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from Pyro5.api import Proxy, current_context
from Pyro5.errors import DaemonError

from instrumentserver.client.objects.proxy import RemoteObject

from .adapters import Adapter, adapter_class, schema_of
from .failures import as_builtin
from .library import DATA_METHODS
from .values import dump, load, refusal

__all__ = ["Table"]

logger = logging.getLogger(__name__)

_MOST_REMEMBERED: Final = 10_000
"""Ids of objects that are gone and whose end is still told; the oldest are forgotten."""
_ITERATORS: Final = ("iterator", "generator")


class Entry:
    """One object that clients know.

    Args:
        adapter: What Pyro's daemon calls.

    Attributes:
        connections: Those that keep it; None for what stays as long as the gateway.
    """

    def __init__(self, adapter: Adapter, connections: set[Any] | None) -> None:
        self.adapter = adapter
        self.connections = connections


class Table:
    """Knows every object that the gateway shows; its methods may be called by any thread.

    An object stays for as long as a connection is open through which it was returned, or that was made for it. When the
    last one ends, the gateway lets it go: the server keeps it for as long as somebody else holds it.

    Args:
        daemon: Pyro's daemon.
    """

    def __init__(self, daemon: Any) -> None:
        self._daemon = daemon
        self._entries: dict[str, Entry] = {}
        self._ids: dict[RemoteObject, str] = {}
        self._kept: dict[Any, set[str]] = {}
        self._classes: dict[tuple[Any, ...], type[Adapter]] = {}
        self._gone: OrderedDict[str, str] = OrderedDict()
        self._guard = threading.RLock()

    def __len__(self) -> int:
        """Return how many objects it has, beside the roots."""
        with self._guard:
            return sum(entry.connections is not None for entry in self._entries.values())

    def add_root(self, remote: RemoteObject, pyro_id: str, more: dict[str, Callable[..., Any]]) -> None:
        """Show an object for as long as the gateway lives.

        Args:
            remote: Its proxy.
            pyro_id: Its id; what had it before is shown no more.
            more: Further methods that it gets.
        """
        adapter = self._adapter(remote, more)
        with self._guard:
            self.forget(pyro_id)
            self._register(Entry(adapter, None), pyro_id)

    def remote(self, pyro_id: str) -> RemoteObject | None:
        """Return the proxy of the object of that id, None if there is none."""
        with self._guard:
            entry = self._entries.get(pyro_id)
            return None if entry is None else entry.adapter._remote

    def has_made(self, pyro_id: str) -> bool:
        """Return whether the id is one of an object that a call has returned."""
        with self._guard:
            entry = self._entries.get(pyro_id)
            return entry is not None and entry.connections is not None

    def keep(self, pyro_id: str, connection: Any) -> None:
        """Keep an object, if there is one of that id, for as long as a connection is open."""
        with self._guard:
            entry = self._entries.get(pyro_id)
            if entry is not None and entry.connections is not None:
                entry.connections.add(connection)
                self._kept.setdefault(connection, set()).add(pyro_id)

    def drop(self, connection: Any) -> None:
        """Let go what an ended connection has kept alone."""
        with self._guard:
            for pyro_id in self._kept.pop(connection, ()):
                connections = self._entries[pyro_id].connections
                assert connections is not None
                connections.discard(connection)
                if not connections:
                    self.forget(pyro_id, "every connection that kept it has ended")

    def forget(self, pyro_id: str, reason: str = "") -> None:
        """Show an object no more; nothing happens if there is none of that id.

        Args:
            reason: What clients are told who use one that a call has returned all the same.
        """
        with self._guard:
            entry = self._entries.pop(pyro_id, None)
            if entry is None:
                return
            self._daemon.unregister(pyro_id)
            if self._ids.get(entry.adapter._remote) == pyro_id:
                del self._ids[entry.adapter._remote]
            if entry.connections is not None:
                for connection in entry.connections:
                    self._kept[connection].discard(pyro_id)
                self._gone[pyro_id] = reason
                if len(self._gone) > _MOST_REMEMBERED:
                    self._gone.popitem(last=False)
        logger.debug("%s is shown no more: %s", pyro_id, reason)

    def clear(self) -> None:
        """Let go everything."""
        with self._guard:
            for pyro_id in list(self._entries):
                self.forget(pyro_id, "the gateway has ended")

    def unknown(self, pyro_id: str) -> DaemonError:
        """Return the error for an id that the gateway does not know."""
        with self._guard:
            reason = self._gone.get(pyro_id, "nothing of this name is served, or was shown by this gateway")
        return DaemonError(f"unknown object {pyro_id!r}: {reason}")

    def answer(self, call: Callable[[Callable[[Any], Any]], Any], name: str) -> Any:
        """Return what a call on a proxy returns, as Pyro's serialisers take it.

        Args:
            call: Makes the call; it gets what turns arguments of Pyro's into those of the proxy.
            name: What is called.

        Raises:
            Exception: What the call raised, as one of Python's own classes.
        """
        try:
            value = call(lambda arguments: load(arguments, self._resolve))
            if _is_iterator(value):
                return self._items(value)
            more = DATA_METHODS.get(name, {})
            return dump(value, lambda found: self._reference(found, more))
        except DaemonError:
            raise
        except Exception as error:  # noqa: BLE001  (an SDK raises whatever it likes)
            raise as_builtin(error) from None

    def _items(self, stream: Any) -> Iterator[Any]:
        try:
            for item in stream:
                yield dump(item, self._reference)
        except Exception as error:  # noqa: BLE001  (as above)
            raise as_builtin(error) from None

    def _resolve(self, value: Any) -> Any:
        """Return the object that an argument stands for."""
        if not isinstance(value, Proxy):
            raise refusal(value)
        pyro_id = value._pyroUri.object
        remote = self.remote(pyro_id)
        if remote is None:
            raise self.unknown(pyro_id)
        return remote

    def _reference(self, value: Any, more: dict[str, Callable[..., Any]] | None = None) -> Any:
        """Return what Pyro's serialisers send as a proxy."""
        if not issubclass(type(value), RemoteObject):
            raise refusal(value)
        with self._guard:
            is_known = value in self._ids
        # Nobody else shall wait for what is asked of the server here.
        adapter = None if is_known else self._adapter(value, more or {})
        with self._guard:
            pyro_id = self._ids.get(value)
            if pyro_id is None:
                pyro_id = f"{schema_of(value).name}_{uuid.uuid4().hex}"
                self._register(Entry(adapter or self._adapter(value, more or {}), set()), pyro_id)
            self.keep(pyro_id, current_context.client)
            return self._entries[pyro_id].adapter

    def _register(self, entry: Entry, pyro_id: str) -> None:
        self._entries[pyro_id] = entry
        self._ids.setdefault(entry.adapter._remote, pyro_id)
        self._daemon.register(entry.adapter, pyro_id)

    def _adapter(self, remote: RemoteObject, more: dict[str, Callable[..., Any]]) -> Adapter:
        schema = schema_of(remote)
        own = tuple(sorted(remote._call("__dir__", (), {}))) if schema.is_open else ()
        key = (type(remote), own, tuple(more))
        cls = self._classes.get(key)
        if cls is None:
            cls = self._classes[key] = adapter_class(schema, own, more)
        return cls(remote, self)


def _is_iterator(value: Any) -> bool:
    if issubclass(type(value), RemoteObject):
        return schema_of(value).kind in _ITERATORS
    return isinstance(value, Iterator)
