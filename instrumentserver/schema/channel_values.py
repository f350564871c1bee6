"""Values of parameters as the data of channels, and back.

Data are one-dimensional: an array, or a list of `bytes` for text. An enum is the number of its choice, a complex
number two numbers, no value (None) no elements.
"""

from __future__ import annotations

import enum
import json
from typing import Any, Final

import numpy as np

from instrumentserver.errors import UsageError

from .channels import ChannelSchema, ChannelType

__all__ = [
    "BOOL_CHOICES",
    "MOST_CHOICES",
    "array_kind",
    "choices_kind",
    "refine",
    "to_data",
    "to_value",
    "value_kind",
]

Data = np.ndarray[Any, Any] | list[bytes]

MOST_CHOICES: Final = 16
"""Channel Access takes no more; a parameter with more choices is a text."""
BOOL_CHOICES: Final = ["Off", "On"]
_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    ChannelType.INT: np.dtype(np.int16),
    ChannelType.FLOAT: np.dtype(np.float32),
    ChannelType.ENUM: np.dtype(np.uint16),
    ChannelType.CHAR: np.dtype(np.uint8),
    ChannelType.LONG: np.dtype(np.int64),
    ChannelType.DOUBLE: np.dtype(np.float64),
}
_TYPES: Final = {
    "b1": ChannelType.CHAR,
    "u1": ChannelType.CHAR,
    "i1": ChannelType.INT,
    "i2": ChannelType.INT,
    **dict.fromkeys(("u2", "i4", "u4", "i8", "u8"), ChannelType.LONG),
    **dict.fromkeys(("f2", "f4", "c8"), ChannelType.FLOAT),
}
_PLAIN: Final = (float, int)
_LONGEST: Final = 80
_WORDS: Final = {
    **dict.fromkeys(("on", "true", "yes", "1"), 1),
    **dict.fromkeys(("off", "false", "no", "0"), 0),
}


def to_data(schema: ChannelSchema, value: Any) -> Data:
    """Return a value of the parameter as the channel's data; large arrays are not copied.

    The dtype is that of the channel's type: int16 for INT, float32 for FLOAT, uint16 for ENUM, uint8 for CHAR,
    int64 for LONG, float64 for DOUBLE. A number with a fraction loses it in an integer channel. One of the values
    that a number may have beside numbers, such as "MIN", is NaN.

    Raises:
        UsageError: The value has no form in this channel.
    """
    kind = schema.type
    if kind == ChannelType.STRING:
        if value is None:
            return []
        if isinstance(value, str) or not schema.is_array:
            return [_text(value)]
        return [_text(item) for item in np.ravel(np.asarray(value, object))]
    dtype = _DTYPES[kind]
    if value is None:
        return np.empty(0, dtype)
    if kind == ChannelType.ENUM:
        return np.array([_index(schema, value)], dtype)
    try:
        return _numbers(schema, value, dtype)
    except (TypeError, ValueError, OverflowError):
        if any(value is key or (type(value) is type(key) and value == key) for key in schema.keys):
            return np.array([np.nan if dtype.kind == "f" else 0], dtype)
        raise UsageError(
            f"{schema.path}: {_shown(value)} is no {ChannelType(kind).name} value; give the parameter a validator "
            f"or a get_parser that says what it is"
        ) from None


def to_value(schema: ChannelSchema, data: Any) -> Any:
    """Return what the parameter is set to when somebody writes data to its channel.

    Args:
        schema: The channel.
        data: A scalar, text, bytes, list, tuple or array. One element is as good as a scalar. A choice is written by
            its number or by what it is called.

    Raises:
        UsageError: There are too many elements or none, or they have no meaning for the channel.
    """
    if schema.is_guessed:
        return _to_guessed(schema, data)
    if schema.is_array:
        return _to_array(schema, data)
    data = _scalar(data)
    if isinstance(data, list | tuple | np.ndarray):
        raise UsageError(f"{schema.path}: it takes one element, not {len(data)}; write a scalar")
    if schema.type == ChannelType.ENUM:
        return schema.keys[_index(schema, data, is_number=True)]
    if schema.type == ChannelType.STRING:
        text = data if isinstance(data, str) else str(data)
        return next((key for key in schema.keys if _called(key) == text), text)
    if isinstance(data, str) and data in schema.keys:
        return data
    return _to_number(schema, data)


def refine(schema: ChannelSchema, value: Any) -> ChannelSchema:
    """Return the schema with the type of a value where the type was a guess, else the schema itself."""
    if not schema.is_guessed or value is None:
        return schema
    return schema._replace(**value_kind(value, schema.settable))


def value_kind(value: Any, settable: bool = True) -> dict[str, Any]:
    """Return the fields of a schema that follow from a value."""
    if isinstance(value, bool | np.bool_):
        return choices_kind([False, True])
    if isinstance(value, enum.Enum):
        return choices_kind(list(type(value)))
    if isinstance(value, int | float | complex | np.number):
        return array_kind(np.asarray(value).dtype, None)
    if isinstance(value, bytes | bytearray):
        return {**array_kind(np.dtype(np.uint8), (len(value),)), "dtype": "|S1"}
    if isinstance(value, list | tuple | range | np.ndarray):
        kind = _sequence_kind(value)
        if kind is not None:
            return kind
    text = {"type": int(ChannelType.STRING), "count": 1, "is_array": False, "choices": [], "keys": []}
    # How something else reads is no way to write it.
    return {**text, "dtype": "", "settable": settable and isinstance(value, str)}


def array_kind(
    dtype: np.dtype[Any], shape: tuple[int, ...] | None, *, is_list: bool = False
) -> dict[str, Any]:
    """Return the fields of a schema for numbers.

    Args:
        dtype: Of the elements.
        shape: Of the array; None for a scalar, () for an array of unknown length.
        is_list: Whether the parameter has them in a list.
    """
    is_complex = dtype.kind == "c"
    factor = 2 if is_complex else 1
    known = shape or ()
    size = factor if shape is None else factor * int(np.prod(shape)) if known else 0
    return {
        "type": int(_TYPES.get(dtype.str[1:], ChannelType.DOUBLE)),
        "count": size,
        "is_array": shape is not None or is_complex,
        "precision": 6 if dtype.kind in "fc" else 0,
        "choices": [],
        "keys": [],
        "dtype": dtype.str if shape is not None or is_complex else "",
        "shape": list(known),
        "is_list": is_list,
    }


def choices_kind(keys: list[Any]) -> dict[str, Any]:
    """Return the fields of a schema for a parameter that has one of few values."""
    is_bool = len(keys) == 2 and all(isinstance(key, bool | np.bool_) for key in keys)
    kind = ChannelType.ENUM if len(keys) <= MOST_CHOICES else ChannelType.STRING
    choices = [BOOL_CHOICES[bool(key)] if is_bool else _called(key) for key in keys]
    return {
        "type": int(kind),
        "count": 1,
        "is_array": False,
        "choices": choices if kind == ChannelType.ENUM else [],
        "keys": keys,
    }


def _sequence_kind(value: Any) -> dict[str, Any] | None:
    is_list = not isinstance(value, np.ndarray)
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.dtype.kind in "US" or (
        array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat)
    ):
        kind = {"type": int(ChannelType.STRING), "count": int(array.size), "is_array": True}
        return {**kind, "choices": [], "keys": [], "is_list": is_list, "shape": [], "dtype": ""}
    return array_kind(array.dtype, array.shape, is_list=is_list) if array.dtype.kind in "biufc" else None


def _numbers(schema: ChannelSchema, value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if type(value) in _PLAIN and not schema.dtype and (dtype.kind == "f" or type(value) is int):
        # Nearly every value; the general way takes ten times as long.
        return np.array((value,), dtype)
    if schema.dtype == "|S1":
        return np.frombuffer(bytes(value), np.uint8)
    if isinstance(value, str | bytes):
        raise TypeError(value)
    if schema.dtype[1:2] == "c":
        # Two numbers of half its size.
        flat = np.asarray(value, np.complex64 if dtype.itemsize == 4 else np.complex128).reshape(-1)
        return flat.view(dtype)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        # Text that reads like a number is a sign of a driver that forgot its parser.
        if array.dtype.kind != "O" or any(isinstance(item, str) for item in array.flat):
            raise TypeError(value)
        array = array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(value)
    return array.reshape(-1).astype(dtype, copy=False)


def _index(schema: ChannelSchema, value: Any, *, is_number: bool = False) -> int:
    """Return the number of a choice, given the parameter's value, or what somebody wrote.

    Args:
        schema: The channel.
        value: What to find.
        is_number: Whether a number is the choice's number rather than the parameter's value.
    """
    if isinstance(value, np.ndarray):
        # Comparing it with a key has no single answer.
        raise _no_choice(schema, value)
    if is_number and not isinstance(value, str):
        if isinstance(value, int | float) and value in range(len(schema.keys)):
            return int(value)
        raise _no_choice(schema, value)
    for number, key in enumerate(schema.keys):
        if key == value:
            return number
    for key, number in schema.aliases:
        if key == value:
            return int(number)
    if isinstance(value, str):
        if value in schema.choices:
            return schema.choices.index(value)
        folded = [choice.casefold() for choice in schema.choices]
        if value.casefold() in folded:
            return folded.index(value.casefold())
        if schema.choices == BOOL_CHOICES and value.casefold() in _WORDS:
            return _WORDS[value.casefold()]
        if is_number and value.isdecimal() and int(value) < len(schema.keys):
            return int(value)
    raise _no_choice(schema, value)


def _no_choice(schema: ChannelSchema, value: Any) -> UsageError:
    choices = ", ".join(f"{number} {choice!r}" for number, choice in enumerate(schema.choices))
    return UsageError(f"{schema.path}: {_shown(value)} is none of its choices; they are {choices}")


def _to_guessed(schema: ChannelSchema, data: Any) -> Any:
    """Return what to set a parameter to that may take anything: what was written, or what that means."""
    if schema.is_array or schema.type == ChannelType.ENUM:
        try:
            return to_value(schema._replace(is_guessed=False), data)
        except UsageError:
            pass  # It takes other values than the latest one, perhaps.
    return _scalar(data)


def _scalar(data: Any) -> Any:
    """Return one element as a plain value, text for bytes; several as they are."""
    if isinstance(data, list | tuple | np.ndarray) and np.ndim(data) and len(data) == 1:
        data = data[0]
    if isinstance(data, np.generic) or (isinstance(data, np.ndarray) and not data.ndim):
        data = data.item()
    return _decoded(bytes(data)) if isinstance(data, bytes | bytearray) else data


def _to_number(schema: ChannelSchema, data: Any) -> int | float:
    try:
        if schema.type in (ChannelType.DOUBLE, ChannelType.FLOAT):
            return float(data)
        # Not by way of a float, which has fewer digits.
        whole = int(data) if isinstance(data, int | str) else int(float(data))
    except (TypeError, ValueError, OverflowError):
        wanted = "number" if schema.type in (ChannelType.DOUBLE, ChannelType.FLOAT) else "whole number"
        raise UsageError(f"{schema.path}: {_shown(data)} is no {wanted}; write one") from None
    if not isinstance(data, str) and whole != data:
        raise UsageError(f"{schema.path}: {_shown(data)} is no whole number; write one")
    return whole


def _to_array(schema: ChannelSchema, data: Any) -> Any:
    if schema.type == ChannelType.STRING:
        texts = [data] if isinstance(data, str | bytes) else list(data)
        _check_count(schema, len(texts))
        return [_decoded(text) if isinstance(text, bytes) else str(text) for text in texts]
    if isinstance(data, str | bytes | bytearray) and schema.type == ChannelType.CHAR:
        data = np.frombuffer(data.encode() if isinstance(data, str) else bytes(data), np.uint8)
    dtype = np.dtype(schema.dtype) if schema.dtype else _DTYPES[schema.type]
    try:
        if dtype.str == "|S1":
            return np.asarray(data, np.uint8).tobytes()
        array = np.atleast_1d(np.asarray(data))
        if dtype.kind == "c" and array.dtype.kind != "c":
            array = np.ascontiguousarray(array.reshape(-1), np.float64).view(np.complex128)
        array = array.astype(dtype, copy=False)
    except (TypeError, ValueError):
        raise UsageError(
            f"{schema.path}: {_shown(data)} is no array of {ChannelType(schema.type).name} elements; write numbers"
        ) from None
    factor = 2 if dtype.kind == "c" else 1
    _check_count(schema, factor * array.size)
    if not schema.shape and dtype.kind == "c" and schema.count == 2:
        return array.item()
    if schema.shape and array.size == np.prod(schema.shape):
        array = array.reshape(schema.shape)
    return array.tolist() if schema.is_list else array


def _check_count(schema: ChannelSchema, count: int) -> None:
    if schema.count and count > schema.count:
        raise UsageError(f"{schema.path}: it takes at most {schema.count} elements, not {count}; write fewer")


def _called(key: Any) -> str:
    return key.name if isinstance(key, enum.Enum) else str(key)


def _text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = json.dumps(value, default=str)
    return _called(value).encode("utf-8", "surrogateescape")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
