"""Served objects as a list of them shows each."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from instrumentserver.wire.values import shown

from .served import ServedObject

__all__ = ["describe_entry"]

_LONGEST: Final = 80


def describe_entry(served: ServedObject, thing: Any) -> dict[str, Any]:
    """Return what an object is, as plain values, without waiting for a call on it that is under way.

    Args:
        served: What is known of it.
        thing: The object.
    """
    options = served.family.options
    return {
        "path": served.path,
        "class": _class_of(thing),
        "shown": _shown(served, thing),
        "root": served.family.name,
        "lock": options.lock,
        "access": options.access,
    }


def _shown(served: ServedObject, thing: Any) -> str:
    lock = served.turn.lock
    if not lock.acquire_now():
        return f"<{type(thing).__qualname__}, in use>"
    try:
        return shown(thing, _LONGEST)
    finally:
        lock.release()


def _class_of(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return f"module {thing.__name__}"
    cls = thing if isinstance(thing, type) else type(thing)
    text = f"{cls.__module__}.{cls.__qualname__}"
    return f"class {text}" if isinstance(thing, type) else text
