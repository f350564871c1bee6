"""Kinds of channels that follow from QCoDeS's validators: types, shapes, limits and choices."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from qcodes import validators as qc
from qcodes.parameters import ParameterBase
from qcodes.parameters.parameter_base import GetLatest

from instrumentserver.schema import ChannelType
from instrumentserver.schema.channel_values import array_kind, choices_kind

__all__ = [
    *("BOOL", "COMPLEX", "DOUBLE", "LONG", "NO_KIND", "TEXT", "Kind"),
    *("are_off_on", "kind_of_validator", "latest_value", "limits_of", "off_on"),
]

Kind = dict[str, Any]
"""Some fields of a `ChannelSchema`, by name."""

DOUBLE: Final[Kind] = {"type": int(ChannelType.DOUBLE), "precision": 6}
LONG: Final[Kind] = {"type": int(ChannelType.LONG)}
TEXT: Final[Kind] = {"type": int(ChannelType.STRING)}
BOOL: Final = choices_kind([False, True])
COMPLEX: Final = array_kind(np.dtype(np.complex128), None)
NO_KIND: Final[Kind] = {"is_guessed": True, **DOUBLE}
"""Of what says nothing about its values."""
_FAR: Final = 1e18
"""QCoDeS's validators of whole numbers end here where nobody gave a limit."""
_OFF_ON: Final = ("off", "on")


def kind_of_validator(validator: Any) -> Kind | None:
    """Return the kind of a value that a validator takes, `NO_KIND` if it says nothing, None if it can be no channel."""
    if isinstance(validator, qc.MultiType):
        return _kind_of_parts(validator)
    if isinstance(validator, qc.Enum | qc.OnOff | qc.LiteralValidator):
        return _kind_of_choices(list(validator.valid_values))
    if isinstance(validator, qc.Bool):
        return BOOL
    if isinstance(validator, qc.Ints):
        return LONG
    if isinstance(validator, qc.PermissiveMultiples):
        return DOUBLE
    if isinstance(validator, qc.Numbers):
        return DOUBLE
    if isinstance(validator, qc.ComplexNumbers):
        return COMPLEX
    if isinstance(validator, qc.Strings):
        return TEXT
    if isinstance(validator, qc.Arrays):
        return array_kind(_dtype(validator.valid_types), _shape(validator))
    if isinstance(validator, qc.Lists | qc.Sequence):
        return _kind_of_elements(validator)
    return None if isinstance(validator, qc.Callable | qc.Dict | qc.Nothing) else NO_KIND


def _kind_of_choices(keys: list[Any]) -> Kind:
    if all(isinstance(key, bool | np.bool_) for key in keys):
        return choices_kind(sorted(keys))
    if all(isinstance(key, int | np.integer) for key in keys):
        return {**LONG, "lower": float(min(keys)), "upper": float(max(keys))}
    if all(isinstance(key, int | float | np.number) for key in keys):
        return {**DOUBLE, "lower": float(min(keys)), "upper": float(max(keys))}
    return choices_kind(sorted(keys, key=off_on) if are_off_on(keys) else keys)  # type: ignore[arg-type]


def _kind_of_parts(validator: qc.MultiType) -> Kind | None:
    """Return the kind of what one of several validators takes: numbers first, whose other values are words."""
    found = [kind_of_validator(part) for part in validator.validators]
    kinds = [kind for kind in found if kind is not None and kind is not NO_KIND]
    if not kinds:
        return NO_KIND if any(kind is NO_KIND for kind in found) else None
    types = [kind["type"] for kind in kinds]
    arrays = [kind for kind in kinds if kind.get("is_array")]
    if arrays:
        return arrays[0]
    for number in (ChannelType.DOUBLE, ChannelType.FLOAT, ChannelType.LONG, ChannelType.INT):
        if number in types:
            words = [key for kind in kinds if kind["type"] == ChannelType.ENUM for key in kind["keys"]]
            return {**kinds[types.index(number)], "keys": [word for word in words if isinstance(word, str)]}
    if all(kind == ChannelType.ENUM for kind in types):
        return choices_kind([key for kind in kinds for key in kind["keys"]])
    return TEXT


def _kind_of_elements(validator: Any) -> Kind:
    element = kind_of_validator(validator.elt_validator)
    length = getattr(validator, "length", None)
    if element is None or element.get("is_array"):
        return {**TEXT, "settable": False}
    if element["type"] in (ChannelType.STRING, ChannelType.ENUM):
        return {**TEXT, "is_array": True, "is_list": True, "count": length or 0}
    dtype = np.dtype(np.int64 if element["type"] == ChannelType.LONG else np.float64)
    kind = array_kind(dtype, (length,) if length else (), is_list=True)
    return {**kind, "is_guessed": True} if element is NO_KIND else kind


def limits_of(validator: Any) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value that a validator takes, None where there is none."""
    if isinstance(validator, qc.MultiType):
        parts = [limits_of(part) for part in validator.validators if _is_of_numbers(part)]
        lows, highs = [low for low, _ in parts], [high for _, high in parts]
        if validator.combiner == "AND":
            known = [low for low in lows if low is not None], [high for high in highs if high is not None]
            return max(known[0], default=None), min(known[1], default=None)
        return (
            min((low for low in lows if low is not None), default=None) if None not in lows else None,
            max((high for high in highs if high is not None), default=None) if None not in highs else None,
        )
    if isinstance(validator, qc.Enum | qc.LiteralValidator):
        kind = _kind_of_choices(list(validator.valid_values))
        return kind.get("lower"), kind.get("upper")
    if isinstance(validator, qc.Lists | qc.Sequence):
        return limits_of(validator.elt_validator)
    # The kinds of validators without limits have no such attributes; `Strings` counts characters by others.
    return _limit(getattr(validator, "_min_value", None)), _limit(getattr(validator, "_max_value", None))


def _is_of_numbers(validator: Any) -> bool:
    kind = kind_of_validator(validator)
    return kind is not None and kind["type"] not in (ChannelType.ENUM, ChannelType.STRING)


def _limit(value: Any) -> float | None:
    number = float(value) if isinstance(value, int | float | np.number) else math.inf
    return number if abs(number) < _FAR else None


def _dtype(types: Any) -> np.dtype[Any]:
    """Return the type of elements that an array validator takes; the widest where it takes any of a family."""
    if any(np.issubdtype(kind, np.complexfloating) for kind in types):
        exact = next(iter(types)) if len(types) == 1 else np.complexfloating
        return np.dtype(np.complex128 if exact is np.complexfloating else exact)
    if any(np.issubdtype(kind, np.floating) for kind in types):
        exact = next(iter(types)) if len(types) == 1 else np.floating
        return np.dtype(np.float64 if exact is np.floating else exact)
    exact = next(iter(types))
    return np.dtype(np.int64 if len(types) > 1 or exact in (np.integer, np.signedinteger) else exact)


def _shape(validator: qc.Arrays) -> tuple[int, ...]:
    """Return the shape that an array validator asks for, () if it is not known without asking."""
    sizes = [_size(size) for size in validator.shape_unevaluated or ()]
    return tuple(size for size in sizes if size is not None) if None not in sizes else ()


def _size(size: Any) -> int | None:
    if isinstance(size, GetLatest):
        size = size.parameter
    if isinstance(size, ParameterBase):
        # Calling it might ask the hardware.
        size = latest_value(size)
    return int(size) if isinstance(size, int | float | np.number) else None


def are_off_on(keys: list[Any]) -> bool:
    return len(keys) == 2 and {off_on(key) for key in keys} == {0, 1}


def off_on(key: Any) -> int | None:
    if isinstance(key, bool | np.bool_):
        return int(key)
    return _OFF_ON.index(key.lower()) if isinstance(key, str) and key.lower() in _OFF_ON else None


def latest_value(parameter: Any) -> Any:
    """Return the cached value of a parameter of this process, None if there is none."""
    try:
        return parameter.cache.get(get_if_invalid=False)
    except (TypeError, AttributeError):
        # A delegate of nothing, or a kind of parameter without a cache.
        return None
