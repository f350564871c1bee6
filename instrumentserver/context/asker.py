"""Askers: each asks one server for what is searched, in a thread of its own."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.client.registry import open_session
from instrumentserver.errors import InstrumentServerError
from instrumentserver.wire.messages import Op

from .names import ChannelName

__all__ = ["Asker", "end_searches_at_exit", "is_ending", "start_thread"]

logger = logging.getLogger("instrumentserver.search")

_SHORTEST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 0.4
_LONGEST_WAIT_LATER: Final = 1.0
"""How long a server that did not have a parameter is left in peace at most, seconds; later: after `_SOON` questions."""
_SOON: Final = 100
_PATIENCE: Final = 2.0
_ending: Final[list[bool]] = []
_registered: Final[list[bool]] = []


class Asker:
    """Asks one server while it may have something that is searched.

    Args:
        address: The server's.
        by_name: Its address by its name.
        identity: Tells this server from an earlier one at the same address.
        names_for: Returns what to ask an asker's server for; none ends the asker.
        on_answer: Called with the asker, the names, and for each the fields of a `ChannelSchema` or None; may block.
        on_gone: Called with the asker when its server is not there any more, after which the asker ends.

    Attributes:
        address: The server's.
        by_name: Its address by its name.
        identity: Tells this server from an earlier one at the same address.
        thread: Its thread.
    """

    def __init__(
        self,
        address: str,
        by_name: str,
        identity: tuple[int, str],
        names_for: Callable[[Asker], list[ChannelName]],
        on_answer: Callable[[Asker, list[ChannelName], list[list[Any] | None]], None],
        on_gone: Callable[[Asker], None],
    ) -> None:
        self.address = address
        self.by_name = by_name
        self.identity = identity
        self._names_for = names_for
        self._on_answer = on_answer
        self._on_gone = on_gone
        self._wake = threading.Event()
        self._session = open_session(address)
        self.thread = threading.Thread(
            target=self._run, name=f"instrumentserver search {address}", daemon=True
        )

    def begin(self) -> None:
        """Begin to ask."""
        start_thread(self.thread)

    def ask_now(self) -> None:
        """Ask again at once, and soon again after that."""
        self._wake.set()

    def _run(self) -> None:
        wait, asked = _SHORTEST_WAIT, 0
        while names := self._names_for(self):
            try:
                rows = self._session.ask_in_passing(
                    [Op.CHANNELS, "", [name.path for name in names]], _PATIENCE
                )
            except (InstrumentServerError, OSError) as error:
                logger.debug("%s did not answer: %s", self.address, str(error)[:200])
                if not self._session.is_there():
                    self._on_gone(self)
                    return
            else:
                self._on_answer(self, names, rows)
            if self._wake.wait(wait):
                self._wake.clear()
                wait, asked = _SHORTEST_WAIT, 0
            else:
                asked += 1
                wait = min(2 * wait, _LONGEST_WAIT if asked < _SOON else _LONGEST_WAIT_LATER)


def is_ending() -> bool:
    """Return whether Python is about to end, so that nothing is to be begun any more."""
    return bool(_ending)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; nothing happens when Python ends, which refuses new ones then."""
    try:
        thread.start()
    except RuntimeError:
        if not is_ending():
            raise


def end_searches_at_exit() -> None:
    """Have no search begin any more once Python ends; to be called after the first connection was made.

    What is registered later runs earlier: connections are cut at the end, and must not be searched again.
    """
    if not _registered:
        _registered.append(True)
        atexit.register(_ending.append, True)
