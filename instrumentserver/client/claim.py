"""Which class a proxy claims to be of, so that `isinstance` says yes to its driver's class."""

from __future__ import annotations

from collections.abc import Sequence

from instrumentserver.wire.classes import find_class_text

__all__ = ["claimed_class"]


def claimed_class(names: Sequence[str], default: type) -> type:
    """Return the nearest of the named classes that this process has imported.

    Args:
        names: The class and the classes above it, nearest first.
        default: Returned if there is none of them.
    """
    # Looked up every time: running a notebook cell again replaces the class.
    for name in names:
        cls = find_class_text(name)
        if cls is not None:
            return cls
    return default
