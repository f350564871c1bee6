"""Followers: see which instruments and parameters a server has, from beginning to end."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from instrumentserver.errors import InstrumentServerError, UnknownName
from instrumentserver.schema import ChannelSchema

from .lanes import Lanes
from .source import Source
from .table import Function
from .targets import Target

__all__ = ["Follower"]

logger = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 2.0
"""How long process variables of an instrument stay, in alarm, after it has gone: it may be made anew."""
_BUSY_SECONDS: Final = 3.0
"""How long to wait for a value of a parameter that does not say of which type it is."""
_MISFIT_SECONDS: Final = 0.1


class Follower:
    """Follows what one server has.

    Args:
        target: The server and its instruments.
        lanes: Where to wait for the server.
        update: Called with what the server has, in its lane.
        with_functions: Whether functions are wanted, too.

    Attributes:
        source: The server.
        is_ready: Set when the server has been asked once, or is not there.
    """

    def __init__(
        self,
        target: Target,
        lanes: Lanes,
        update: Callable[[Follower, Iterable[ChannelSchema | Function]], None],
        *,
        with_functions: bool,
    ) -> None:
        self.source = Source(target.address, target.instruments, lanes)
        self._update = update
        self._known: dict[str, list[ChannelSchema | Function]] = {}
        self._missing: dict[str, float] = {}
        self._with_functions = with_functions
        self._functions: dict[str, list[Function]] = {}
        self._tried: set[str] = set()
        self._is_closed = False
        self.is_ready = threading.Event()
        self.source.stream.add_listener(self)
        self._look_soon()

    def close(self) -> None:
        """Follow no more."""
        self._is_closed = True
        self.source.stream.remove_listener(self)

    # What the server's stream tells, on its own thread

    def stream_connected(self) -> None:
        """Hear that the server is there."""
        logger.info("server %s is there", self.source.address)
        self._functions.clear()
        self._look_soon()

    def stream_disconnected(self, reason: str) -> None:
        """Hear that the server is gone; its process variables stay, in alarm."""
        logger.warning("server %s is gone: %s", self.source.address, reason.partition("\n")[0])

    def instruments_changed(self, names: list[str]) -> None:
        """Hear that instruments came, went or changed."""
        # Whatever was known of their values counts no more.
        self._tried = {path for path in self._tried if path.partition(".")[0] not in names}
        for name in names:
            self._functions.pop(name, None)
        self._look_soon()

    # Looking, in the server's lane

    def look_again(self) -> None:
        """Look soon: a parameter has a value that its type does not fit."""
        self.source.submit_later(_MISFIT_SECONDS, "", self._look)

    def _look_soon(self) -> None:
        self.source.submit("", self._look)

    def _look(self) -> None:
        if self._is_closed:
            return
        try:
            found: list[ChannelSchema | Function] = [*self.source.channels()]
            if self._with_functions:
                found += self._find_functions({what.path.partition(".")[0] for what in found})
        except InstrumentServerError as error:
            if not self.is_ready.is_set():
                logger.warning("%s; what it has is served as soon as it runs", str(error).partition("\n")[0])
            self.is_ready.set()
            return
        by_instrument: dict[str, list[ChannelSchema | Function]] = {}
        unknown: dict[str, list[str]] = {}
        for what in found:
            name = what.path.partition(".")[0]
            if (
                isinstance(what, ChannelSchema)
                and what.is_guessed
                and what.gettable
                and what.path not in self._tried
            ):
                unknown.setdefault(name, []).append(what.path)
                # As it was before, until more is known.
                by_instrument.setdefault(name, []).extend(
                    known for known in self._known.get(name, ()) if known.path == what.path
                )
            else:
                by_instrument.setdefault(name, []).append(what)
        self._keep_missing(by_instrument)
        self._known = by_instrument
        self._update(self, [what for whats in by_instrument.values() for what in whats])
        for name, paths in unknown.items():
            self._try_soon(name, paths)
        if not unknown:
            self.is_ready.set()

    def _try_soon(self, name: str, paths: list[str]) -> None:
        """Have parameters be read once of which only a value can tell what they are; then look again.

        An instrument that is busy is not waited for: what is not known is served as a number.
        """

        def end() -> None:
            if not self._tried.issuperset(paths):
                self._tried.update(paths)
                self._look_soon()

        def read() -> None:
            for path in paths:
                with contextlib.suppress(Exception):
                    self.source.read(path)
            end()

        self.source.submit(name, read)
        self.source.submit_later(_BUSY_SECONDS, "", end)

    def _find_functions(self, names: set[str]) -> list[Function]:
        """Return the functions of instruments; it takes a server long to describe them, so each is asked for once."""
        for name in names - self._functions.keys():
            try:
                self._functions[name] = self.source.functions(name)
            except UnknownName:
                continue  # It has just gone, of which we hear.
        return [function for name in sorted(names) for function in self._functions.get(name, ())]

    def _keep_missing(self, found: dict[str, list[ChannelSchema | Function]]) -> None:
        """Keep instruments that have just gone for a while."""
        now = time.monotonic()
        for name in found:
            self._missing.pop(name, None)
        for name in self._known.keys() - found.keys():
            since = self._missing.setdefault(name, now)
            left = since + _GRACE_SECONDS - now
            if left > 0:
                found[name] = self._known[name]
                self.source.submit_later(left, "", self._look)
            else:
                del self._missing[name]
