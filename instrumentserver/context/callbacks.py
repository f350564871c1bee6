"""Callbacks that hear of a PV's connection or of its access rights."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from instrumentserver.client.inbox import Consumer

if TYPE_CHECKING:
    from .endpoint import Endpoint

__all__ = ["CallbackHandler"]

_MOST_WAITING = 1000


class CallbackHandler:
    """Functions that are called with a PV and something about it, one after the other, off the caller's thread.

    Args:
        pv: What they are called with first.
        present: Returns what there is to tell to one that comes later, None for nothing yet.

    Attributes:
        callbacks: The functions, by token. They are kept: nobody else has to.
    """

    def __init__(self, pv: Endpoint, present: Callable[[], Any]) -> None:
        self.callbacks: dict[int, Callable[..., Any]] = {}
        self._pv = pv
        self._present = present
        self._tokens = itertools.count()
        self._consumer = Consumer(self._call, _MOST_WAITING, lambda position: None)

    def add_callback(self, function: Callable[..., Any]) -> int:
        """Have a function be called from now on, and now if there is something to tell already; return its token."""
        token = next(self._tokens)
        self.callbacks[token] = function
        present = self._present()
        if present is not None:
            self._consumer.put(0, [((function,), present)])
        return token

    def remove_callback(self, token: int) -> None:
        """Have a function not be called any more; an unknown token is ignored."""
        self.callbacks.pop(token, None)

    def tell(self, what: Any) -> None:
        """Have all functions be called soon. Never blocks."""
        functions = tuple(self.callbacks.values())
        if functions:
            self._consumer.put(0, [(functions, what)])

    def _call(self, told: tuple[tuple[Callable[..., Any], ...], Any], lost: int) -> None:
        functions, what = told
        for function in functions:
            try:
                function(self._pv, what)
            except Exception:
                self._pv.log.exception("callback %r failed", function)
