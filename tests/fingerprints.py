"""What must be the same of a value before and after a journey."""

from __future__ import annotations

import enum
import struct
from collections import Counter
from datetime import datetime, time, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np


def fingerprint(value: Any) -> Any:
    """Return something that is equal for two values exactly if nobody could tell them apart.

    Types, signs of zeros, bits of nans, order of items, dtypes and memory order count.
    """
    kind = type(value)
    if kind is float:
        return "float", struct.pack("!d", value)
    if kind is complex:
        return "complex", struct.pack("!dd", value.real, value.imag)
    if issubclass(kind, (list, tuple)):
        return kind, getattr(kind, "_fields", None), tuple(fingerprint(item) for item in value)
    if issubclass(kind, dict):
        return kind, tuple((fingerprint(key), fingerprint(item)) for key, item in value.items())
    if kind in (set, frozenset):
        return kind, frozenset(Counter(fingerprint(item) for item in value).items())
    if kind in (datetime, time):
        return kind, value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo)
    if isinstance(value, enum.Enum):
        return kind.__module__, kind.__qualname__, value.name, fingerprint(value.value)
    if isinstance(value, np.ndarray):
        return kind, fingerprint(value.dtype), value.shape, _order(value), _content(value)
    if isinstance(value, np.generic):
        is_writeable = value.flags.writeable if isinstance(value, np.void) else None
        return kind, fingerprint(value.dtype), is_writeable, value.tobytes()
    if isinstance(value, np.dtype):
        return np.dtype, repr(value), value.type, value.itemsize, value.isalignedstruct
    return kind, repr(value)


def _zone(zone: Any) -> Any:
    if isinstance(zone, ZoneInfo):
        return "zone", zone.key
    return ("fixed", zone.utcoffset(None), zone.tzname(None)) if isinstance(zone, timezone) else zone


def _order(array: np.ndarray[Any, Any]) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _content(array: np.ndarray[Any, Any]) -> Any:
    return fingerprint(array.ravel().tolist()) if array.dtype == object else array.tobytes()
