"""Waiting until a parameter has a value."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from qcodes.parameters import ParameterBase

from instrumentserver.wire.values import shown

__all__ = ["wait_until"]

_PERIOD: Final = 0.1


def wait_until(
    parameter: ParameterBase,
    predicate: Callable[[Any], Any],
    timeout: float | None = None,
    *,
    period: float = _PERIOD,
) -> Any:
    """Wait until the value of a parameter fulfils a condition, which it may do already; return the value.

    Every change of a remote parameter is looked at, whoever makes it; beside that its server reads it every
    ``period`` seconds, where it can be read. A local parameter is read every ``period`` seconds, no more.

    Args:
        parameter: Remote or local.
        predicate: Called with each value, in this thread.
        timeout: How long to wait, seconds; None for ever.
        period: Time between two readings, seconds, at least 0.001.

    Raises:
        TimeoutError: The time ran out; the message says the latest value.
        Exception: Whatever the predicate raised, and, of a local parameter, whatever reading it raised.
    """
    subscribe = getattr(type(parameter), "subscribe", None)
    if subscribe is not None:
        subscription = subscribe(parameter, lossless=True, period=period if parameter.gettable else None)
        return subscription.wait_for(predicate, timeout).value
    give_up = None if timeout is None else time.monotonic() + timeout
    while not predicate(value := parameter.get()):
        if give_up is not None and time.monotonic() + period > give_up:
            raise TimeoutError(
                f"{parameter} did not become what was waited for within {timeout:g} s: it is {shown(value)}"
            )
        time.sleep(period)
    return value
