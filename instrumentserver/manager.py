"""Servers by the names that the QCoDeS of 2016 gave them, for programs that were written for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from instrumentserver.client import RemoteInstrument, time_limit
from instrumentserver.directory import Directory
from instrumentserver.errors import CallTimeout, ConnectFailed, ServerLost
from instrumentserver.process import Server, connect, stop_server
from instrumentserver.process.finding import started_server

__all__ = ["InstrumentServerManager", "get_instrument_server_manager"]

logger = logging.getLogger(__name__)

_DEFAULT_NAME: Final = "Instruments"
_LINGER_SECONDS: Final = 60.0


def get_instrument_server_manager(
    server_name: str, shared_kwargs: Mapping[str, Any] | None = None
) -> InstrumentServerManager:
    """Return this process's manager of a server, which is started if it does not run.

    Args:
        server_name: The server's name; "" for "Instruments".
        shared_kwargs: Keyword arguments that it holds for all instruments whose class names them. A
            server that runs already takes those that it does not share yet.

    Raises:
        UsageError: The server shares one of that name that has another value; the message shows both.
    """
    name = server_name or _DEFAULT_NAME
    manager = InstrumentServerManager.instances.get(name)
    if manager is None:
        return InstrumentServerManager(name, shared_kwargs)
    manager._start(shared_kwargs)
    return manager


class InstrumentServerManager:
    """Starts a server, ends it, and makes it again with all its instruments.

    Made by `get_instrument_server_manager`, one for each name in a process. Closing or forgetting it is not
    needed: the server lives as every other server does.

    Args:
        name: The server's name. It is started if it does not run.
        shared_kwargs: As for `get_instrument_server_manager`.

    Attributes:
        instances: The managers that this process has asked for, by name, without those that were closed.
        name: The server's name.
        shared_kwargs: What this process gave the server to share.
    """

    instances: ClassVar[dict[str, InstrumentServerManager]] = {}

    def __init__(self, name: str, shared_kwargs: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.shared_kwargs: dict[str, Any] = {}
        self._start(shared_kwargs)

    @property
    def server(self) -> Server:
        """The handle of the server, which can do all that this cannot.

        Raises:
            UnknownName: The server does not run any more.
        """
        return connect(self.name)

    @property
    def instruments(self) -> Mapping[str, RemoteInstrument]:
        """The instruments that the server has now, by name, whoever made them."""
        return self.server.instruments

    def restart(self, timeout: float = 2.0) -> None:
        """End the server, start it again, and make its instruments again from what they were made of.

        Their state is that of new instruments. Proxies stay valid, here and in other clients. Of a server
        that died, or that does not answer in time, those instruments come back that this process has made.

        Args:
            timeout: How long the server may take to end by itself, seconds; then it is ended by force.

        Raises:
            NotPortable: What an instrument was made of cannot travel; the server was not ended.
            ExceptionGroup: Some instruments could not be made again; the others were.
        """
        old = self._known_server()
        with time_limit(timeout):
            recipes = old.recipes()
            linger, network, allow = _settings(old)
        self.halt(timeout)
        listen = [*([] if old.address.startswith("unix:") else [old.address]), *network]
        insecure = any(address.startswith("tcp:") for address in network)
        self._server, _ = started_server(
            self.name, linger=linger, listen=listen, allow=allow, insecure=insecure
        )
        failures: list[Exception] = []
        for recipe in recipes:
            try:
                self._server.make_again(recipe)
            except Exception as error:  # noqa: BLE001  (the others are to come back all the same)
                error.add_note(f"when instrument {recipe[0]!r} was made again")
                failures.append(error)
        if self.shared_kwargs:
            # Last, for there may be instruments of this server among them.
            self._server.extend(0, self.shared_kwargs)
        logger.info("%r restarted, instruments made again: %d", self, len(recipes) - len(failures))
        if failures:
            raise ExceptionGroup(
                f"server {self.name!r} was restarted, but {len(failures)} of its {len(recipes)} "
                f"instruments could not be made again; mend the cause and create them",
                failures,
            )

    def halt(self, timeout: float = 2.0) -> None:
        """Close every instrument and end the server; if that takes too long, end it by force and log a warning.

        Args:
            timeout: How long it may take, seconds.
        """
        server = self._known_server()
        try:
            server.stop(timeout)
        except ServerLost:
            logger.warning("%r has not ended within %g s: ended by force", self, timeout)
            server.kill()

    def close(self) -> None:
        """Close every instrument, end the server, and forget this manager; a second call does nothing.

        Raises:
            ServerLost: The server has not ended within 30 s; `halt` ends it by force.
        """
        stop_server(self.name)
        if self.instances.get(self.name) is self:
            del self.instances[self.name]

    def __repr__(self) -> str:
        return f"<InstrumentServerManager: {self.name}>"

    def _start(self, shared_kwargs: Mapping[str, Any] | None) -> None:
        """Have the server run and share what it does not share yet."""
        self._server, is_new = started_server(self.name, extend=False)
        shared = {**(self.shared_kwargs if is_new else {}), **(shared_kwargs or {})}
        try:
            if shared:
                self._server.extend(0, shared)
        except BaseException:
            if is_new:
                self._server.stop_if_unused()
            raise
        self.shared_kwargs.update(shared)
        self.instances[self.name] = self

    def _known_server(self) -> Server:
        """Return the server that runs, or the one that was there the last time."""
        record = Directory.default().find(self.name)
        return self._server if record is None else Server(record)


def _settings(server: Server) -> tuple[float | None, list[str], list[str]]:
    """Return how long a server lives without clients, where it listens on networks, and what clients there may name.

    Of one that does not answer, the usual time (seconds), what its record says, and nothing.
    """
    try:
        status = server.status()
    except (ConnectFailed, ServerLost, CallTimeout):
        record = Directory.default().find(server.name)
        return _LINGER_SECONDS, [] if record is None else list(record.addresses), []
    return status["linger"], list(status["addresses"][1:]), list(status["allow"])
