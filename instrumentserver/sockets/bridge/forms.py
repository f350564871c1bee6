"""Values of instruments in the forms that sockets can send."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, Final

import numpy as np

__all__ = ["plain"]

_AS_IT_IS: Final = frozenset((bool, int, float, str, type(None)))
_LISTED_KINDS: Final = "biuf"


def plain(value: Any) -> Any:
    """Return a value as None, bool, int, float, str, or lists and dicts of these.

    numpy's scalars become Python's, arrays of any shape (nested) lists, tuples and sets lists, members of an Enum their
    names, keys of dicts text. What has no such form, complex numbers too, becomes the text that ``str`` makes of it.
    Shares nothing with what it was given.
    """
    try:
        return _plain(value)
    except RecursionError:
        return f"<{type(value).__name__} that is nested too deeply>"


def _plain(value: Any) -> Any:
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.ndarray):
        return _listed(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, str):
        return "".join((value,))
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_plain(item) for item in value]
    return _text(value)


def _listed(array: np.ndarray[Any, Any]) -> Any:
    """Return an array as lists, one without dimensions as a scalar."""
    # A long double stays one in tolist().
    if array.dtype.kind in _LISTED_KINDS and array.dtype.itemsize <= 8:
        return array.tolist()
    if array.ndim == 0:
        return _plain(array[()])
    return [_plain(item) for item in array]


def _key(key: Any) -> str:
    """Return a key of a dict as text."""
    form = _plain(key)
    return form if isinstance(form, str) else _text(form)


def _text(value: Any) -> str:
    """Return what ``str`` makes of a value, or its class's name where it fails."""
    try:
        return "".join((str(value),))
    except Exception as error:  # noqa: BLE001 - a driver's class may fail in any way
        return f"<{type(value).__name__} whose text cannot be shown: {type(error).__name__}>"
