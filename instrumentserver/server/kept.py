"""Values that are kept while the driver goes on: copied where it could change them, and compared."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["IMMUTABLE", "is_same_value", "kept_value"]

IMMUTABLE: Final = frozenset((type(None), bool, int, float, complex, str, bytes))
"""Types whose values nobody can change."""


def kept_value(value: Any) -> Any:
    """Return a value that the driver cannot change any more."""
    try:
        return _copied(value)
    except RecursionError:
        return value  # It contains itself, and cannot travel either, which is told then.


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray and not value.dtype.hasobject:
        return value.copy()
    if kind in (list, tuple, set, frozenset):
        return kind(map(_copied, value))
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    # An object of another class may be anything, an instrument too: not to be copied.
    return value


def is_same_value(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    try:
        if type(one) is np.ndarray:
            is_number = one.dtype.kind in "fc"
            return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=is_number))
        if type(one) in (list, tuple):
            return len(one) == len(other) and all(map(is_same_value, one, other))
        if type(one) is dict:
            return one.keys() == other.keys() and all(
                is_same_value(item, other[key]) for key, item in one.items()
            )
        return bool(one == other or (one != one and other != other))
    except Exception:  # noqa: BLE001  (what cannot be compared is taken for different)
        return False
