"""The points of a pull socket, and which of them are too old to be shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence, Sized
from typing import Any

from instrumentserver.errors import UsageError

from ..constants import BAD_CHARS, OLD_DATA

__all__ = ["Points"]


class Points:
    """Keeps the last point of each codename, and when it was set; any number of threads may use it.

    Args:
        codenames: Names without ``# , ; : &``, each once.
        default: Point of every codename before one is set.
        timeouts: Age in seconds above which a point is old, one for all codenames or one for each; None: never.
        age_from: Given a point and the time at which it was set, returns the time from which its age counts; None:
            points do not age.

    Raises:
        UsageError: A codename or the number of timeouts is wrong. It is a ValueError.
    """

    def __init__(
        self,
        codenames: Sequence[str],
        default: tuple[Any, Any],
        timeouts: float | Sequence[float | None] | None,
        age_from: Callable[[Any, float], float] | None,
    ) -> None:
        by_codename: Sequence[Any]
        if isinstance(timeouts, Sized):
            by_codename = list(timeouts)  # type: ignore[arg-type]  # mypy sees Sized, and not the Sequence
            if len(by_codename) != len(codenames):
                raise UsageError(
                    "If a list of timeouts is supplied, it must have as many items as there are in codenames"
                )
        else:
            by_codename = [timeouts] * len(codenames)
        for codename in codenames:
            if codenames.count(codename) > 1:
                raise UsageError(f"Codenames must be unique; '{codename}' is present more than once")
            for character in BAD_CHARS:
                if character in codename:
                    raise UsageError(f"The character '{character}' is not allowed in the codenames")
        self.codenames = list(codenames)
        self.data: dict[str, Any] = dict.fromkeys(self.codenames, default)
        self.timestamps = dict.fromkeys(self.codenames, 0.0)
        self.timeouts: dict[str, float | None] = dict(zip(self.codenames, by_codename, strict=True))
        self._default = default
        self._age_from = age_from
        # A signal handler may set a point while this thread does.
        self._lock = threading.RLock()

    def set(self, codename: str, point: Any, timestamp: float | None = None) -> None:
        """Replace a point.

        A codename that the socket was not made with is taken as well; it has no place in replies that are in the order
        of the codenames.

        Args:
            codename: Whose.
            point: ``(x, y)``; a list is copied.
            timestamp: When it was measured, seconds since 1970; None: now.
        """
        point = tuple(point) if isinstance(point, list) else point
        timestamp = time.time() if timestamp is None else timestamp
        with self._lock:
            self.data[codename] = point
            self.timestamps[codename] = timestamp

    def reset(self, codename: str) -> None:
        """Give a codename the point that it had at the beginning."""
        with self._lock:
            self.data[codename] = self._default
            self.timestamps[codename] = 0.0

    def one(self, codename: str) -> Any:
        """Return the point of a codename, `OLD_DATA` if it is old; raises KeyError if there is none."""
        with self._lock:
            return self._fresh(codename)

    def named(self) -> dict[str, Any]:
        """Return the points of the codenames in their order, by codename; `OLD_DATA` for old ones."""
        with self._lock:
            return {codename: self._fresh(codename) for codename in self.codenames}

    def all(self) -> dict[str, Any]:
        """Return all points by codename, with those of codenames that the socket was not made with."""
        with self._lock:
            return {codename: self._fresh(codename) for codename in list(self.data)}

    def _fresh(self, codename: str) -> Any:
        """Return a point, or `OLD_DATA`."""
        point = self.data[codename]
        timeout = self.timeouts.get(codename)
        if timeout is None or self._age_from is None:
            return point
        # A timeout of 0 means that every point is old, even one of this instant.
        age = time.time() - self._age_from(point, self.timestamps[codename])
        return OLD_DATA if age > timeout or timeout == 0 else point
