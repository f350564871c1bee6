"""What numpy keeps values in, as plain values: dtypes, scalars, and arrays of Python objects.

The bytes of all other arrays travel by themselves; see `instrumentserver.wire.codec`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from instrumentserver.errors import NotPortable

__all__ = [
    "checked_shape",
    "dump_dtype",
    "dump_object_array",
    "dump_scalar",
    "load_any_dtype",
    "load_dtype",
    "load_object_array",
    "load_scalar",
]


def dump_dtype(dtype: np.dtype[Any]) -> Any:
    """Return a dtype in plain values: its string, or a list for one that has parts.

    Raises:
        NotPortable: Another library has added it to numpy.
    """
    return _dump_string(dtype) if dtype.kind != "V" else _dump_void(dtype)


def load_dtype(described: Any) -> np.dtype[Any]:
    """Return the dtype, without Python objects inside, for what `dump_dtype` returned."""
    dtype = load_any_dtype(described)
    if dtype.hasobject:
        raise ValueError(f"a dtype with Python objects inside: {described!r:.80}")
    return dtype


def load_any_dtype(described: Any) -> np.dtype[Any]:
    """Return the dtype for what `dump_dtype` returned."""
    if type(described) is str:
        return np.dtype(described)
    kind, *parts = described
    if kind == "array":
        item, shape = parts
        return np.dtype((load_any_dtype(item), tuple(shape)))
    fields, size, is_aligned, is_record = parts
    names, titles, offsets, formats = zip(*fields, strict=True) if fields else ((), (), (), ())
    dtype = np.dtype(
        {
            "names": list(names),
            "titles": list(titles),
            "offsets": list(offsets),
            "formats": [load_any_dtype(part) for part in formats],
            "itemsize": size,
        },
        align=is_aligned is True,
    )
    return np.dtype((np.record, dtype)) if is_record else dtype


def checked_shape(shape: list[int], size: int, itemsize: int) -> list[int]:
    """Return ``shape`` after making sure that it holds ``size`` items, or any number of items of 0 bytes."""
    if itemsize and math.prod(shape) != size:
        raise ValueError(f"an array of shape {shape} does not hold {size} items")
    return shape


def dump_scalar(value: np.generic) -> list[Any]:
    """Return dtype, bytes, and whether the scalar can be changed in place, as structured ones can.

    Raises:
        NotPortable: It holds Python objects.
    """
    dtype = value.dtype
    if dtype.hasobject:
        raise NotPortable(
            f"a numpy scalar of dtype {dtype} cannot travel; use a dtype without Python objects inside"
        )
    # An empty string has no bytes by its dtype, and some all the same.
    raw = value.tobytes() if dtype.itemsize else b""
    return [dump_dtype(dtype), raw, isinstance(value, np.void) and value.flags.writeable]


def load_scalar(described: Any, raw: bytes, is_writeable: bool) -> Any:
    """Return the scalar for what `dump_scalar` returned."""
    dtype = load_dtype(described)
    if type(raw) is not bytes or len(raw) != dtype.itemsize:
        raise ValueError(f"a scalar of dtype {dtype} is not {raw!r:.80}")
    if not raw:
        return np.zeros((), dtype)[()]
    return np.frombuffer(bytearray(raw) if is_writeable else raw, dtype, count=1)[0]


def dump_object_array(array: np.ndarray[Any, Any]) -> list[Any]:
    """Return shape, order and items of an array of Python objects.

    Raises:
        NotPortable: It is a structured array with objects in some of its fields.
    """
    if array.dtype != np.dtype(object):
        raise NotPortable(
            f"an array of dtype {array.dtype} cannot travel; "
            f"use a dtype without Python objects inside, such as astype(str)"
        )
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return [list(array.shape), is_fortran, (array.T if is_fortran else array).reshape(-1).tolist()]


def load_object_array(shape: list[int], is_fortran: bool, items: list[Any]) -> np.ndarray[Any, Any]:
    """Return the array for what `dump_object_array` returned."""
    if type(items) is not list:
        raise TypeError(f"the items of an array are not {type(items).__name__}")
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)


@functools.lru_cache(256)
def _dump_string(dtype: np.dtype[Any]) -> str:
    text = dtype.str
    try:
        is_same = np.dtype(text) == dtype
    except TypeError:
        is_same = False
    if not is_same:
        raise NotPortable(_refusal(dtype))
    return text


def _dump_void(dtype: np.dtype[Any]) -> Any:
    """Return a dtype of raw bytes, of fields, or of arrays, in plain values."""
    if dtype.subdtype is not None:
        item, shape = dtype.subdtype
        return ["array", dump_dtype(item), list(shape)]
    if not issubclass(dtype.type, np.void):
        raise NotPortable(_refusal(dtype))
    if dtype.fields is None or dtype.names is None:
        return dtype.str
    fields = []
    for name in dtype.names:
        part, offset, *title = dtype.fields[name]
        fields.append([name, title[0] if title else None, offset, dump_dtype(part)])
    return ["fields", fields, dtype.itemsize, dtype.isalignedstruct, issubclass(dtype.type, np.record)]


def _refusal(dtype: np.dtype[Any]) -> str:
    return f"the dtype {dtype} is not one of numpy's own and cannot travel; use astype() with one that is"
