"""From a parameter to the channel that it is, without asking the hardware."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from qcodes import validators as qc
from qcodes.parameters import (
    ArrayParameter,
    DelegateParameter,
    GroupedParameter,
    MultiParameter,
    ParameterBase,
)
from qcodes.parameters.parameter_base import GetLatest

from instrumentserver.schema import ChannelSchema, ChannelType
from instrumentserver.schema.channel_values import array_kind, choices_kind, value_kind

__all__ = ["describe_channel"]

_FAR: Final = 1e18
"""QCoDeS's validators of whole numbers end here where nobody gave a limit."""
_PRECISION: Final = 6
_DOUBLE: Final = {"type": int(ChannelType.DOUBLE), "precision": _PRECISION}
_LONG: Final = {"type": int(ChannelType.LONG)}
_TEXT: Final = {"type": int(ChannelType.STRING)}
_COMPLEX: Final = array_kind(np.dtype(np.complex128), None)
_NONE: Final[dict[str, Any]] = {"is_guessed": True, **_DOUBLE}
_PARSERS: Final = {
    float: _DOUBLE,
    int: _LONG,
    str: _TEXT,
    bool: choices_kind([False, True]),
    complex: _COMPLEX,
}
_OFF_ON: Final = ("off", "on")

_Kind = dict[str, Any]


def describe_channel(path: str, parameter: Any) -> ChannelSchema | None:
    """Return a parameter as a channel, None for what can be none.

    A parameter with several values of different names (`MultiParameter`, `GroupedParameter`) and one that takes
    dictionaries or functions can be none. Neither the hardware nor another server is asked, and no lock is waited for.

    Args:
        path: Its path.
        parameter: The parameter.
    """
    kind = _kind_of(parameter)
    if kind is None:
        return None
    found = vars(parameter)
    period = getattr(parameter, "poll_period", None)
    fields = {
        "unit": getattr(parameter, "unit", None) or "",
        "label": getattr(parameter, "label", None) or parameter.short_name,
        "doc": found.get("_docstring") or "",
        "gettable": bool(parameter.gettable),
        "settable": bool(parameter.settable),
        "poll_period": float(period) if isinstance(period, int | float) else None,
    }
    if fields["settable"] is False:
        kind = {key: value for key, value in kind.items() if key != "settable"}
    return ChannelSchema(path, **{**fields, **kind})


def _kind_of(parameter: Any) -> _Kind | None:
    """Return the fields that say of which type a channel is."""
    if isinstance(parameter, MultiParameter):
        return None
    if isinstance(parameter, GroupedParameter):
        parts = list(parameter.group.parameters.values())
        return _kind_of(parts[0]) if len(parts) == 1 else None
    if isinstance(parameter, ArrayParameter):
        return _kind_of_array(parameter)
    mapping = getattr(parameter, "val_mapping", None)
    if mapping:
        return _kind_of_mapping(mapping)
    # Not by the property: that of a delegate asks what it stands for, which may be on another server.
    validators = list(vars(parameter).get("_vals", ()))
    for validator in validators:
        kind = _kind_of_validator(validator)
        if kind is None:
            return None
        if kind is not _NONE:
            return _narrowed(kind, parameter, validators)
    if isinstance(parameter, DelegateParameter):
        return _kind_of_delegate(parameter)
    parser = getattr(parameter, "get_parser", None)
    kind = _PARSERS.get(parser) if isinstance(parser, type) else None
    return _with_step(kind, parameter) if kind is not None else _kind_of_latest(parameter)


def _narrowed(kind: _Kind, parameter: Any, validators: Iterable[Any]) -> _Kind:
    """Return a kind with the limits of all validators, and with what only the latest value tells."""
    kind = _with_step(kind, parameter)
    if kind.get("is_array") and not kind["count"]:
        latest = _latest(parameter)
        if isinstance(latest, list | tuple | np.ndarray):
            shape = np.shape(latest)
            factor = 2 if kind["dtype"][1:2] == "c" else 1
            kind = {**kind, "count": factor * int(np.prod(shape)), "is_guessed": True}
    limits = [_limits(validator) for validator in validators]
    if isinstance(parameter, DelegateParameter):
        source = _kind_of_delegate(parameter) or _NONE
        limits.append((source.get("lower"), source.get("upper")))
    lower = [low for low, _ in limits if low is not None]
    upper = [high for _, high in limits if high is not None]
    return {**kind, "lower": max(lower, default=None), "upper": min(upper, default=None)}


def _with_step(kind: _Kind, parameter: Any) -> _Kind:
    """Return a kind whose precision is that of the parameter's step."""
    step = vars(parameter).get("_step")
    if (
        kind["type"] not in (ChannelType.DOUBLE, ChannelType.FLOAT)
        or not isinstance(step, int | float)
        or not step
    ):
        return kind
    digits = np.format_float_positional(step, trim="-").partition(".")[2]
    return {**kind, "precision": max(1, min(len(digits), 15))}


def _kind_of_mapping(mapping: Mapping[Any, Any]) -> _Kind:
    """Return the kind of a parameter whose values stand for others; several may stand for the same."""
    numbers: dict[Any, int] = {}
    raws: list[Any] = []
    for key, raw in mapping.items():
        number = next((number for number, known in enumerate(raws) if known == raw), None)
        if number is None:
            number = len(raws)
            raws.append(raw)
        numbers[key] = number
    # As QCoDeS inverts a mapping: the last one counts.
    keys = list({number: key for key, number in numbers.items()}.items())
    ordered = [key for _, key in sorted(keys)]
    order = _natural_order(ordered, raws)
    kind = choices_kind([ordered[number] for number in order])
    place = {number: at for at, number in enumerate(order)}
    names = {id(key) for key in ordered}
    return {
        **kind,
        "aliases": [[key, place[number]] for key, number in numbers.items() if id(key) not in names],
    }


def _natural_order(keys: list[Any], raws: list[Any]) -> list[int]:
    """Return in which order choices are counted: off before on, as the hardware does, else as they were written."""
    numbers = list(range(len(keys)))
    if _are_off_on(keys):
        return sorted(numbers, key=lambda number: _off_on(keys[number]) or 0)
    if all(type(raw) is int for raw in raws) and sorted(raws) == numbers:
        return sorted(numbers, key=lambda number: raws[number])
    return numbers


def _are_off_on(keys: list[Any]) -> bool:
    return len(keys) == 2 and {_off_on(key) for key in keys} == {0, 1}


def _off_on(key: Any) -> int | None:
    if isinstance(key, bool | np.bool_):
        return int(key)
    return _OFF_ON.index(key.lower()) if isinstance(key, str) and key.lower() in _OFF_ON else None


def _kind_of_validator(validator: Any) -> _Kind | None:
    """Return the kind of a value that a validator takes, `_NONE` if it says nothing, None if it can be no channel."""
    if isinstance(validator, qc.MultiType):
        return _kind_of_parts(validator)
    if isinstance(validator, qc.Enum | qc.OnOff | qc.LiteralValidator):
        return _kind_of_choices(list(validator.valid_values))
    if isinstance(validator, qc.Bool):
        return _PARSERS[bool]
    if isinstance(validator, qc.Ints):
        return _LONG
    if isinstance(validator, qc.PermissiveMultiples):
        return _DOUBLE
    if isinstance(validator, qc.Numbers):
        return _DOUBLE
    if isinstance(validator, qc.ComplexNumbers):
        return _COMPLEX
    if isinstance(validator, qc.Strings):
        return _TEXT
    if isinstance(validator, qc.Arrays):
        return array_kind(_dtype(validator.valid_types), _shape(validator))
    if isinstance(validator, qc.Lists | qc.Sequence):
        return _kind_of_elements(validator)
    return None if isinstance(validator, qc.Callable | qc.Dict | qc.Nothing) else _NONE


def _kind_of_choices(keys: list[Any]) -> _Kind:
    if all(isinstance(key, bool | np.bool_) for key in keys):
        return choices_kind(sorted(keys))
    if all(isinstance(key, int | np.integer) for key in keys):
        return {**_LONG, "lower": float(min(keys)), "upper": float(max(keys))}
    if all(isinstance(key, int | float | np.number) for key in keys):
        return {**_DOUBLE, "lower": float(min(keys)), "upper": float(max(keys))}
    return choices_kind(sorted(keys, key=_off_on) if _are_off_on(keys) else keys)  # type: ignore[arg-type]


def _kind_of_parts(validator: qc.MultiType) -> _Kind | None:
    """Return the kind of what one of several validators takes: numbers first, whose other values are words."""
    found = [_kind_of_validator(part) for part in validator.validators]
    kinds = [kind for kind in found if kind is not None and kind is not _NONE]
    if not kinds:
        return _NONE if any(kind is _NONE for kind in found) else None
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
    return _TEXT


def _kind_of_elements(validator: Any) -> _Kind:
    element = _kind_of_validator(validator.elt_validator)
    length = getattr(validator, "length", None)
    if element is None or element.get("is_array"):
        return {**_TEXT, "settable": False}
    if element["type"] in (ChannelType.STRING, ChannelType.ENUM):
        return {**_TEXT, "is_array": True, "is_list": True, "count": length or 0}
    dtype = np.dtype(np.int64 if element["type"] == ChannelType.LONG else np.float64)
    kind = array_kind(dtype, (length,) if length else (), is_list=True)
    return {**kind, "is_guessed": True} if element is _NONE else kind


def _limits(validator: Any) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value that a validator takes, None where there is none."""
    if isinstance(validator, qc.MultiType):
        parts = [_limits(part) for part in validator.validators if _is_of_numbers(part)]
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
        return _limits(validator.elt_validator)
    # The kinds of validators without limits have no such attributes; `Strings` counts characters by others.
    return _limit(getattr(validator, "_min_value", None)), _limit(getattr(validator, "_max_value", None))


def _is_of_numbers(validator: Any) -> bool:
    kind = _kind_of_validator(validator)
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
        size = _latest(size)
    return int(size) if isinstance(size, int | float | np.number) else None


def _kind_of_array(parameter: ArrayParameter) -> _Kind:
    latest = _latest(parameter)
    dtype = np.asarray(latest).dtype if latest is not None else np.dtype(np.float64)
    if dtype.kind not in "biufc":
        return {**_TEXT, "is_array": True, "count": int(np.prod(parameter.shape)), "is_guessed": True}
    shape = tuple(parameter.shape)
    return {**array_kind(dtype, shape or None), "is_guessed": latest is None}


def _kind_of_delegate(parameter: DelegateParameter) -> _Kind | None:
    """Return the kind of the parameter that it stands for, with its limits in its own scale."""
    source = parameter.source
    if source is None or _is_remote(source):
        return _NONE
    kind = _kind_of(source)
    if kind is None or getattr(parameter, "get_parser", None) is not None:
        return kind and _kind_of_latest(parameter)
    scale: Any = 1 if parameter.scale is None else parameter.scale
    offset: Any = 0 if parameter.offset is None else parameter.offset
    if parameter.scale is None and parameter.offset is None:
        return kind
    if kind["type"] in (ChannelType.STRING, ChannelType.ENUM) or np.ndim(scale) or np.ndim(offset):
        return _kind_of_latest(parameter)
    limits = [kind.get("lower"), kind.get("upper")]
    if scale < 0:
        limits.reverse()
    lower, upper = (None if limit is None else (limit - offset) / scale for limit in limits)
    if not kind.get("is_array"):
        kind = {**kind, **_DOUBLE}
    return _with_step({**kind, "lower": lower, "upper": upper, "keys": []}, parameter)


def _kind_of_latest(parameter: Any) -> _Kind:
    """Return the kind of the latest value, or of a number if there is none: a guess."""
    value = (
        None
        if isinstance(parameter, DelegateParameter) and _is_remote(parameter.source)
        else _latest(parameter)
    )
    if value is None:
        # What every instrument has, and says as a dictionary.
        return {**_TEXT, "settable": False} if parameter.short_name == "IDN" else _with_step(_NONE, parameter)
    return {**_with_step(value_kind(value), parameter), "is_guessed": True}


def _latest(parameter: Any) -> Any:
    """Return the cached value of a parameter of this process, None if there is none."""
    try:
        return parameter.cache.get(get_if_invalid=False)
    except (TypeError, AttributeError):
        # A delegate of nothing, or a kind of parameter without a cache.
        return None


def _is_remote(parameter: Any) -> bool:
    """Return whether a parameter lives on another server, which would have to be asked."""
    return parameter is not None and "_link" in vars(parameter)
