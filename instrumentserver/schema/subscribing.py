"""How somebody wants to be told of a parameter's changes."""

from __future__ import annotations

import math
import operator
from typing import Any, Final, NamedTuple

from instrumentserver.errors import UsageError

__all__ = ["LARGE_UPDATE", "LONGEST_PERIOD", "SubscribeOptions"]

_SHORTEST_PERIOD: Final = 1e-3
LARGE_UPDATE: Final = 1 << 16
"""Arrays of this many bytes are counted one by one by those who take them, so that few are on their way."""
LONGEST_PERIOD: Final = 1e6
"""Longest period of readings, seconds; a longer one is this."""
_LONGEST_QUEUE: Final = 1_000_000
_WINDOW: Final = 1024
_NEWEST_WINDOW: Final = 64


class SubscribeOptions(NamedTuple):
    """What a subscriber asks for.

    Attributes:
        lossless: Whether every change is wanted, in order; otherwise the newest is enough.
        queue: How many changes are kept for a slow lossless subscriber, a count; the oldest are dropped first.
        interval: Shortest time between two deliveries, seconds. A lossless subscriber gets what came meanwhile
            all together.
        deadband: A number or an array that differs from the latest delivered one by no more than this, in the
            parameter's unit, is no change. Other values have none.
        period: How often the server is to read the parameter, seconds; None leaves that to others.
    """

    lossless: bool = False
    queue: int = 1000
    interval: float = 0.0
    deadband: float = 0.0
    period: float | None = None

    @property
    def window(self) -> int:
        """How many changes may be on their way to the subscriber, who has not said yet that it took them, a count."""
        return min(_WINDOW, self.queue) if self.lossless else _NEWEST_WINDOW

    def checked(self) -> SubscribeOptions:
        """Return the options after making sure that they make sense.

        Raises:
            UsageError: They do not; the message says which, and what would.
        """
        if not isinstance(self.lossless, bool):
            raise UsageError(f"lossless={self.lossless!r} is neither True nor False")
        try:
            queue = operator.index(self.queue)
        except TypeError:
            raise UsageError(f"queue={self.queue!r} is no count; give a whole number such as 1000") from None
        if isinstance(self.queue, bool) or not 1 <= queue <= _LONGEST_QUEUE:
            raise UsageError(f"queue={self.queue} is outside 1 to {_LONGEST_QUEUE}; choose a number inside")
        return SubscribeOptions(
            self.lossless,
            queue,
            _number("interval", self.interval, 0.0, "seconds, 0 for no limit"),
            _number("deadband", self.deadband, 0.0, "the parameter's unit, 0 for none"),
            None
            if self.period is None
            else min(
                _number("period", self.period, _SHORTEST_PERIOD, "seconds, None for no reading"),
                LONGEST_PERIOD,
            ),
        )


def _number(name: str, value: Any, least: float, unit: str) -> float:
    try:
        number = float(value) if not isinstance(value, bool | str) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < least:
        raise UsageError(f"{name}={value!r} is no number of at least {least:g}; give it in {unit}")
    return number
