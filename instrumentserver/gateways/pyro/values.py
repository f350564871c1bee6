"""Values as every serialiser of Pyro5 takes them, and back.

Pyro's serialisers write a class that they do not know as a dict with its name, which a client refuses by closing its
connection. So nothing reaches them but the types that each of them knows, what has no such form is an error before,
and an array is what TimeTaggerRPC's clients read: a dict with the file format of numpy, in base64.
"""

from __future__ import annotations

import base64
import binascii
import enum
import io
import uuid
from collections.abc import Callable, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from instrumentserver.wire.values import shown

__all__ = ["ARRAY_CLASS", "dump", "load", "load_array", "refusal"]

ARRAY_CLASS: Final = "numpy.ndarray"
"""What the dict of an array calls its class."""

_PLAIN: Final = frozenset((type(None), bool, int, float, complex, str, bytes))
_BYTES_KEYS: Final = {"data", "encoding"}

_CONVERSIONS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    ((datetime, date, time), lambda value: value.isoformat()),
    (timedelta, timedelta.total_seconds),
    ((Decimal, Fraction, PurePath, uuid.UUID), str),
    (bool, bool),
    (int, int),
    (float, float),
    (complex, complex),
    (str, lambda value: "".join((value,))),
    ((bytes, bytearray, memoryview), bytes),
    (range, list),
)
"""What no serialiser takes as it is, and what it becomes: the same as Pyro's own serialiser makes of it."""


def dump(value: Any, reference: Callable[[Any], Any]) -> Any:
    """Return a value as Pyro's serialisers take it.

    Members of enums become their values, containers of other kinds lists, tuples, sets and dicts.

    Args:
        value: Anything that a call on a proxy returned.
        reference: Returns what stands for a value of no such type, such as a proxy, or raises.

    Raises:
        TypeError: It has no form, an array of Python objects for example.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return dump(value.value, reference)
    if issubclass(kind, np.ndarray):
        return _dump_array(value)
    if issubclass(kind, np.generic):
        return _dump_scalar(value, reference)
    for kinds, convert in _CONVERSIONS:
        if issubclass(kind, kinds):
            return convert(value)
    if issubclass(kind, tuple):
        return tuple(dump(item, reference) for item in value)
    if issubclass(kind, list):
        return [dump(item, reference) for item in value]
    if issubclass(kind, Mapping):
        return {dump(key, reference): dump(item, reference) for key, item in value.items()}
    if issubclass(kind, Set):
        return {dump(item, reference) for item in value}
    return reference(value)


def load(value: Any, resolve: Callable[[Any], Any]) -> Any:
    """Return an argument as a call on a proxy takes it.

    Args:
        value: What a serialiser of Pyro returned; what it makes of bytes becomes bytes again.
        resolve: Returns what an object of another class, such as a Pyro proxy, stands for.
    """
    kind = type(value)
    if kind in _PLAIN or kind is np.ndarray:
        return value
    if kind in (list, tuple, set, frozenset):
        return kind(load(item, resolve) for item in value)
    if kind is dict:
        if value.keys() == _BYTES_KEYS and value["encoding"] == "base64":
            try:
                return base64.b64decode(value["data"], validate=True)
            except (binascii.Error, TypeError, ValueError):
                pass  # A dict that only looks like bytes.
        return {load(key, resolve): load(item, resolve) for key, item in value.items()}
    return resolve(value)


def load_array(class_name: str, described: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the array for its dict.

    Raises:
        ValueError: It is no such dict, or holds Python objects.
    """
    raw = described["data"]
    text = raw.encode("ascii") if isinstance(raw, str) else raw
    array: np.ndarray[Any, Any] = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return array


def _dump_array(array: np.ndarray[Any, Any]) -> dict[str, str]:
    if array.dtype.hasobject:
        raise TypeError(
            f"an array of dtype {array.dtype} cannot go through the Pyro gateway; "
            f"have the server return a list, or an array of another dtype"
        )
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return {"__class__": ARRAY_CLASS, "data": base64.b64encode(file.getbuffer()).decode("ascii")}


def _dump_scalar(value: np.generic, reference: Callable[[Any], Any]) -> Any:
    item = value.item()
    if isinstance(item, np.generic):
        # Wider than any number of Python's.
        return complex(item) if np.iscomplexobj(item) else float(item)  # type: ignore[arg-type]
    return dump(item, reference)


def refusal(value: Any) -> TypeError:
    """Return the error for a value that has no form."""
    return TypeError(
        f"{shown(value)} of class {type(value).__module__}.{type(value).__qualname__} cannot go through the Pyro "
        f"gateway; have the server return a number, string, list, dict, array or an object"
    )
