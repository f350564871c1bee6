"""What keeps published values from being up to date, told once for each change of state."""

from __future__ import annotations

import logging
import threading

from instrumentserver.errors import ConnectFailed, ServerLost

from .words import one_line

__all__ = ["Troubles"]

logger = logging.getLogger(__name__)


class Troubles:
    """Logs when something begins to go wrong with a codename, and when it is over; any thread may tell.

    Codenames with the same trouble, such as a server that is gone, are one change of state.

    Args:
        name: Whose codenames they are.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._present: dict[tuple[str, str], str] = {}
        self._guard = threading.Lock()

    def begin(self, codename: str, kind: str, what: BaseException | str) -> None:
        """Note a trouble.

        Args:
            codename: Whose.
            kind: What is not possible, such as ``'read'``; a codename has one trouble of each kind at most.
            what: Why.
        """
        text = one_line(what)
        # Who asks first hears that the line was lost, the next ones that nobody listens.
        reason = "its server is gone" if isinstance(what, ConnectFailed | ServerLost) else text
        with self._guard:
            if (codename, kind) in self._present:
                return
            is_new = (kind, reason) not in {(other, why) for (_, other), why in self._present.items()}
            self._present[codename, kind] = reason
        if is_new:
            logger.warning("%s: %s cannot be %s: %s", self._name, codename, kind, text)

    def end(self, codename: str, kind: str) -> None:
        """Note that a trouble is over, if there is one."""
        # Asked at each reading and each event: without the lock as long as there is none.
        if not self._present:
            return
        with self._guard:
            reason = self._present.pop((codename, kind), None)
            is_over = (kind, reason) not in {(other, why) for (_, other), why in self._present.items()}
        if reason is not None and is_over:
            logger.info("%s: %s can be %s again", self._name, codename, kind)
