"""The gateway: objects that a server serves, shown to clients of Pyro5 and of TimeTaggerRPC."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import threading
from types import TracebackType
from typing import Any, Final, Self

from instrumentserver.errors import UsageError
from instrumentserver.process import connect

from .adapters import schema_of
from .library import LIBRARY_METHODS

__all__ = ["DEFAULT_ID", "DEFAULT_PORT", "Gateway"]

logger = logging.getLogger(__name__)

DEFAULT_PORT: Final = 23000
DEFAULT_ID: Final = "TimeTaggerRPC"
_END_SECONDS: Final = 5.0


class Gateway:
    """Shows what a server serves as Pyro5 objects, from its making until `close`.

    Every object is ``PYRO:<its name>@host:port``, also those that are served later. A module is ``PYRO:TimeTaggerRPC``,
    too, with what TimeTaggerRPC's clients expect of it.

    Args:
        server: Name or address of the server.
        host: Where to listen.
        port: The same; 0 for any free one.
        library: Name of the module that TimeTaggerRPC's clients get; None for the only one that the server serves.
        pyro_id: By which id they get it.
        insecure: Whether ``host`` may be one that other computers reach: whoever reaches it may do everything.

    Raises:
        UsageError: It cannot be as it was asked for; the message says what can.
        ConnectFailed: The server does not take connections.
    """

    def __init__(
        self,
        server: str,
        *,
        host: str = "localhost",
        port: int = DEFAULT_PORT,
        library: str | None = None,
        pyro_id: str = DEFAULT_ID,
        insecure: bool = False,
    ) -> None:
        if not insecure and not _is_loopback(host):
            raise UsageError(
                f"{host!r} is an address that other computers reach, and Pyro proves nobody's identity; run a gateway "
                f"on each of them instead (instrumentserver pyro tls://HOST:PORT), or say --insecure"
            )
        daemon = _load("daemon")
        self._server = connect(server)
        self._library = library
        self._found: str | None = None
        self._pyro_id = pyro_id
        self._find_library()
        self._daemon: Any = daemon.Daemon(host, port, self._find_root)
        self.host = host
        self.port: int = self._daemon.port
        try:
            for name in (pyro_id, *self._server.objects):
                self._find_root(name)
        except BaseException:
            self._daemon.close()
            raise
        self._thread = threading.Thread(target=self._daemon.requestLoop, name="pyro gateway", daemon=True)
        self._thread.start()
        logger.info("server %s is shown at %s", self._server.name, self._daemon.locationStr)

    @property
    def uris(self) -> list[str]:
        """The URIs of what the server serves now, the one for TimeTaggerRPC's clients first."""
        names = [*([self._pyro_id] if self._find_library() else []), *sorted(self._server.objects)]
        return [f"PYRO:{name}@{self._daemon.locationStr}" for name in dict.fromkeys(names)]

    @property
    def objects(self) -> int:
        """How many objects it shows that calls have returned."""
        return len(self._daemon.table)

    @property
    def connections(self) -> int:
        """How many connections clients have."""
        return len(self._daemon.connections)

    def close(self) -> None:
        """End; connections of clients are closed, and nothing is freed that others hold."""
        self._daemon.shutdown()
        self._thread.join(_END_SECONDS)
        self._daemon.table.clear()

    def __enter__(self) -> Self:
        """Return the gateway."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _find_library(self) -> str | None:
        """Return the name of the module for TimeTaggerRPC's clients, None if there is none."""
        objects = self._server.objects
        wanted = self._library or self._found
        if wanted in objects:
            return wanted
        if self._library is not None:
            served = ", ".join(sorted(objects)) or "nothing"
            raise UsageError(
                f"server {self._server.name!r} serves no object {self._library!r} (it serves {served}); serve it "
                f"first: server.serve('Swabian.TimeTagger', {self._library!r})"
            )
        modules = [name for name in sorted(objects) if schema_of(objects[name]).kind == "module"]
        if len(modules) > 1:
            raise UsageError(
                f"server {self._server.name!r} serves several modules ({', '.join(modules)}); choose with --object "
                f"which one TimeTaggerRPC's clients get"
            )
        self._found = modules[0] if modules else None
        return self._found

    def _find_root(self, pyro_id: str) -> None:
        """Show what the server serves under a name now, and nothing if it serves nothing."""
        is_library = pyro_id == self._pyro_id
        name = self._find_library() if is_library else pyro_id
        found = None if name is None else self._server.objects.get(name)
        table = self._daemon.table
        if found is None:
            table.forget(pyro_id)
        elif found is not table.remote(pyro_id):
            table.add_root(found, pyro_id, LIBRARY_METHODS if is_library else {})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _load(module: str) -> Any:
    """Return a module that needs a package of the extra ``pyro``.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        return importlib.import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "Pyro5":
            raise
        raise UsageError(
            "the package Pyro5 is not installed; install it with: pip install 'instrumentserver[pyro]'"
        ) from error
