"""From a parameter to the channel that it is, without asking the hardware."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from qcodes.parameters import ArrayParameter, DelegateParameter, GroupedParameter, MultiParameter

from instrumentserver.schema import ChannelSchema, ChannelType
from instrumentserver.schema.channel_values import array_kind, choices_kind, value_kind

from .channel_kinds import (
    BOOL,
    COMPLEX,
    DOUBLE,
    LONG,
    NO_KIND,
    TEXT,
    Kind,
    are_off_on,
    kind_of_validator,
    latest_value,
    limits_of,
    off_on,
)

__all__ = ["describe_channel"]

_PARSERS: Final = {float: DOUBLE, int: LONG, str: TEXT, bool: BOOL, complex: COMPLEX}


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
    period = None if _is_remote(parameter) else getattr(parameter, "poll_period", None)
    fields = {
        "unit": _text_of(parameter, "unit"),
        "label": _text_of(parameter, "label") or parameter.short_name,
        "doc": found.get("_docstring") or "",
        "gettable": bool(parameter.gettable),
        "settable": bool(parameter.settable),
        "poll_period": float(period) if isinstance(period, int | float) else None,
    }
    if fields["settable"] is False:
        kind = {key: value for key, value in kind.items() if key != "settable"}
    return ChannelSchema(path, **{**fields, **kind})


def _text_of(parameter: Any, name: str) -> str:
    """Return unit or label, without asking another server for that of a parameter there."""
    if isinstance(parameter, DelegateParameter):
        own = vars(parameter).get(f"_{name}_override")
        if own is not None:
            return str(own)
        return "" if parameter.source is None else _text_of(parameter.source, name)
    # A proxy has what the schema said when it was made.
    known = vars(parameter).get("_schema") if _is_remote(parameter) else parameter
    return getattr(known, name, None) or ""


def _kind_of(parameter: Any) -> Kind | None:
    """Return the fields that say of which type a channel is."""
    if isinstance(parameter, MultiParameter):
        return None
    if _is_remote(parameter):
        return NO_KIND
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
        kind = kind_of_validator(validator)
        if kind is None:
            return None
        if kind is not NO_KIND:
            return _narrowed(kind, parameter, validators)
    if isinstance(parameter, DelegateParameter):
        return _kind_of_delegate(parameter)
    parser = getattr(parameter, "get_parser", None)
    kind = _PARSERS.get(parser) if isinstance(parser, type) else None
    return _with_step(kind, parameter) if kind is not None else _kind_of_latest(parameter)


def _narrowed(kind: Kind, parameter: Any, validators: Iterable[Any]) -> Kind:
    """Return a kind with the limits of all validators, and with what only the latest value tells."""
    kind = _with_step(kind, parameter)
    if kind.get("is_array") and not kind["count"]:
        latest = latest_value(parameter)
        if isinstance(latest, list | tuple | np.ndarray):
            shape = np.shape(latest)
            factor = 2 if kind["dtype"][1:2] == "c" else 1
            kind = {**kind, "count": factor * int(np.prod(shape)), "is_guessed": True}
    limits = [limits_of(validator) for validator in validators]
    if isinstance(parameter, DelegateParameter):
        source = _kind_of_delegate(parameter) or NO_KIND
        limits.append((source.get("lower"), source.get("upper")))
    lower = [low for low, _ in limits if low is not None]
    upper = [high for _, high in limits if high is not None]
    return {**kind, "lower": max(lower, default=None), "upper": min(upper, default=None)}


def _with_step(kind: Kind, parameter: Any) -> Kind:
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


def _kind_of_mapping(mapping: Mapping[Any, Any]) -> Kind:
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
    if are_off_on(keys):
        return sorted(numbers, key=lambda number: off_on(keys[number]) or 0)
    if all(type(raw) is int for raw in raws) and sorted(raws) == numbers:
        return sorted(numbers, key=lambda number: raws[number])
    return numbers


def _kind_of_array(parameter: ArrayParameter) -> Kind:
    latest = latest_value(parameter)
    dtype = np.asarray(latest).dtype if latest is not None else np.dtype(np.float64)
    if dtype.kind not in "biufc":
        return {**TEXT, "is_array": True, "count": int(np.prod(parameter.shape)), "is_guessed": True}
    shape = tuple(parameter.shape)
    return {**array_kind(dtype, shape or None), "is_guessed": latest is None}


def _kind_of_delegate(parameter: DelegateParameter) -> Kind | None:
    """Return the kind of the parameter that it stands for, with its limits in its own scale."""
    source = parameter.source
    if source is None:
        return NO_KIND
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
        kind = {**kind, **DOUBLE}
    return _with_step({**kind, "lower": lower, "upper": upper, "keys": []}, parameter)


def _kind_of_latest(parameter: Any) -> Kind:
    """Return the kind of the latest value, or of a number if there is none: a guess."""
    value = (
        None
        if isinstance(parameter, DelegateParameter) and _is_remote(parameter.source)
        else latest_value(parameter)
    )
    if value is None:
        # What every instrument has, and says as a dictionary.
        return (
            {**TEXT, "settable": False} if parameter.short_name == "IDN" else _with_step(NO_KIND, parameter)
        )
    return {**_with_step(value_kind(value), parameter), "is_guessed": True}


def _is_remote(parameter: Any) -> bool:
    """Return whether a parameter lives on another server, which would have to be asked."""
    return parameter is not None and "_link" in vars(parameter)
