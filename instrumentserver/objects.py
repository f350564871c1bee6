"""Objects that servers serve: their proxies, who has them, and how they end.

`instrumentserver.Server.serve` serves one; `instrumentserver.Proxy` finds one by its URI.
"""

from __future__ import annotations

from typing import Any

from instrumentserver.client.objects.proxy import RemoteObject
from instrumentserver.client.registry import find_proxy_at
from instrumentserver.errors import ObjectFreed, ObjectInUse, UsageError
from instrumentserver.server.objects import ClientIdentity, ObjectCall
from instrumentserver.wire.messages import Op

__all__ = [
    "ClientIdentity",
    "ObjectCall",
    "ObjectFreed",
    "ObjectInUse",
    "Proxy",
    "RemoteObject",
    "free",
    "holders",
    "release",
]


def Proxy(uri: str) -> Any:
    """Return the proxy of what a URI names, on any server: an object, an instrument, or a part of one.

    In one process, the same URI gives the same proxy. While the proxy is there, so is the object.

    Args:
        uri: What ``proxy.uri`` is, such as ``unix:foo/timetagger`` or ``unix:foo/@Counter-c3f1a2-12``.

    Raises:
        UnknownName: There is nothing there; the message says what became of it.
        ConnectFailed: The server is not running.
        UsageError: The text is no URI.
    """
    return find_proxy_at(uri)


def free(proxy: RemoteObject, *, force: bool = False) -> None:
    """End an object on its server; nothing of it is called, but Python's own end of an object that nobody has.

    Args:
        proxy: Of something that a call returned.
        force: Whether it is taken from other clients that have it, too. Their next call on it says who freed it.

    Raises:
        ObjectInUse: Others have it, too, and it is not forced.
        UsageError: It was served by name.
    """
    _check(proxy)
    proxy._link.request([Op.OBJECT_FREE, proxy._path, force])


def release(proxy: RemoteObject) -> None:
    """Tell the server that this process does not use an object any more, without waiting until the proxy is gone.

    An object that nobody else has is dropped. What was for one client at a time is free for the next one. The proxy
    may be used again if the object is still there.
    """
    _check(proxy)
    proxy._link.request([Op.OBJECT_RELEASE, "", [[proxy._path, list(proxy._held.serials)]], True])


def holders(proxy: RemoteObject) -> list[dict[str, Any]]:
    """Return who has an object: one dict for each client, as in `instrumentserver.Server.proxies`."""
    _check(proxy)
    found: list[dict[str, Any]] = proxy._link.request([Op.OBJECT_LIST, proxy._path])[1]
    return found


def _check(proxy: object) -> None:
    if not issubclass(type(proxy), RemoteObject):
        raise UsageError(f"{proxy!r:.80} is no proxy of a served object")
