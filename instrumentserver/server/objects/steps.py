"""Steps of generators and iterators, sync and async, made for clients.

A step returns how it ended, as `instrumentserver.server.held.advance` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..held import advance, sent_error

__all__ = ["STEPS", "take_step"]

_ASYNC: Final = frozenset(("__anext__", "asend", "athrow"))
STEPS: Final = _ASYNC | {"__next__", "send", "throw", "close", "aclose"}
"""Methods of iterators that make a step."""


def take_step(iterator: Any, step: str, args: Sequence[Any]) -> Any:
    """Have an iterator go on; return how that ended, for an async one what is to be waited for."""
    if step in ("close", "aclose"):
        return getattr(iterator, step)()
    if step in _ASYNC:
        return _advance_later(getattr(iterator, step), args, is_throwing=step == "athrow")
    return advance(iterator, step, args)


async def _advance_later(method: Callable[..., Any], args: Sequence[Any], *, is_throwing: bool) -> list[Any]:
    thrown = sent_error(args[0]) if is_throwing else None
    try:
        return ["yielded", await (method(*args) if thrown is None else method(thrown))]
    except StopAsyncIteration:
        return ["returned", None]
    except BaseException as error:
        if error is not thrown:
            raise
        return ["yours", None]
