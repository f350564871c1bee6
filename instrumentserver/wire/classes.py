"""Which classes a name on the wire may stand for: those that this process has already imported.

Nothing is ever imported because a peer said so.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

__all__ = ["ClassName", "add_known_class", "class_name", "class_text", "find_class", "find_class_text"]

ClassName = tuple[str, str]
"""Module and qualified name of a class."""

_added: Final[dict[ClassName, type]] = {}


def class_name(cls: type) -> ClassName:
    """Return the name under which a peer may know ``cls``."""
    return cls.__module__, cls.__qualname__


def add_known_class(cls: type) -> None:
    """Make a class that no imported module holds, such as one that came by value, findable by name.

    The latest class of a name replaces the earlier one, as running a notebook cell again does.
    """
    _added[class_name(cls)] = cls


def find_class(module: str, qualname: str) -> type | None:
    """Return the class of that name if this process has it, else None."""
    added = _added.get((module, qualname))
    if added is not None:
        return added
    # `getattr` would run code: a module may import what it is asked for, an instrument may ask its hardware.
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        if not isinstance(found, ModuleType | type):
            return None
        found = vars(found).get(part)
    return found if isinstance(found, type) else None


def class_text(cls: type) -> str:
    """Return the name of a class as one text, ``package.module:Outer.Inner``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class_text(text: str) -> type | None:
    """Return the class that `class_text` names if this process has it, else None."""
    module, _, qualname = text.partition(":")
    return find_class(module, qualname)
