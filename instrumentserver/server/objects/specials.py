"""Special methods of served objects, called for clients."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from ..held import leave_context, sent_error

__all__ = ["call_special"]


def call_special(thing: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a special method of an object.

    A context is left with the failure with which the client leaves it, or None.
    """
    if name == "__exit__":
        return leave_context(thing, *args)
    if name == "__aexit__":
        return _leave(thing, *args)
    # As Python does it: an object's own attribute of such a name counts for nothing.
    return getattr(type(thing), name)(thing, *args, **kwargs)


async def _leave(thing: Any, failure: dict[str, Any] | None) -> bool:
    """Leave an async context; return whether it swallows the error with which it was left."""
    error = None if failure is None else sent_error(failure)
    leaving: Awaitable[Any]
    if error is None:
        return bool(await type(thing).__aexit__(thing, None, None, None))
    try:
        leaving = type(thing).__aexit__(thing, type(error), error, error.__traceback__)
        return bool(await leaving)
    except BaseException as raised:
        if raised is not error:
            raise
        # The client raises the original, which this is the copy of.
        return False
