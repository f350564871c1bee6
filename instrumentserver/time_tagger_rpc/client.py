"""TimeTaggerRPC's client by name: finds a Time Tagger library that a server of ours serves."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from instrumentserver.client.objects.proxy import RemoteObject
from instrumentserver.errors import UnknownName
from instrumentserver.process import Server, connect, list_servers

__all__ = ["createProxy"]

_TELLING: Final = "createTimeTagger"
"""What a served module is known by, whatever its name."""
_SERVE: Final = "serve it with server.serve('Swabian.TimeTagger', 'timetagger')"


def createProxy(host: str = "localhost", port: int = 23000, _objectId: str = "TimeTaggerRPC") -> Any:
    """Return the proxy of a Time Tagger library that a server serves.

    On this computer it is the server that listens on ``port``, or the only one of this user that serves such a
    library. The proxy may stand behind ``with``, which ends nothing: an object ends when nobody has a proxy of it.

    Args:
        host: A computer.
        port: Where its server listens.
        _objectId: The name of the library on its server; any other will do where there is only one.

    Raises:
        UnknownName: There is no such library, or several; the message lists them.
        ConnectFailed: The server of another computer does not take connections.
    """
    if _is_here(host):
        running = list_servers()
        listening = [
            server for server in running if any(each.endswith(f":{port}") for each in server.addresses)
        ]
        servers = listening or running
    else:
        servers = [connect(f"tls://{host}:{port}")]
    found = [root for server in servers for root in _libraries(server, _objectId)]
    if len(found) == 1:
        return _as_context(found[0])
    names = ", ".join(server.name for server in servers) or "none"
    if not found:
        raise UnknownName(f"no server at {host} serves a Time Tagger library (running: {names}); {_SERVE}")
    several = ", ".join(repr(root.uri) for root in found)
    raise UnknownName(
        f"several Time Tagger libraries are served at {host}: {several}; take one of them: "
        f"instrumentserver.Proxy({found[0].uri!r})"
    )


def _libraries(server: Server, name: str) -> list[RemoteObject]:
    """Return what a server serves that looks like the library; the one of that name alone if there is one."""
    objects = dict(server.objects)
    if name in objects:
        return [objects[name]]
    return [root for root in objects.values() if _TELLING in dir(type(root))]


def _as_context(root: RemoteObject) -> Any:
    """Return another proxy of the same object that may stand behind ``with``, as Pyro's may."""
    cls = type(root)
    members = {"__enter__": lambda self: self, "__exit__": lambda *_: None}
    made: RemoteObject = object.__new__(type(cls.__name__, (cls,), members))
    # The first one is what this process holds the object by.
    vars(made).update(vars(root), _first=root)
    return made


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
