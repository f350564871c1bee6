"""The end of a process that does not end by itself."""

from __future__ import annotations

import logging
import os
import threading

__all__ = ["end_by_force_after"]

logger = logging.getLogger(__name__)


def end_by_force_after(seconds: float) -> None:
    """End the process after a time: a driver may hang in its `close`, or leave a thread that never ends."""

    def end() -> None:
        logger.error("not ended within %g s: ended by force", seconds)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
