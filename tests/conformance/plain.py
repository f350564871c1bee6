"""Values, objects and errors as plain data that can be compared, the same in every process and at every time."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
from qcodes.instrument import ChannelTuple, InstrumentBase
from qcodes.math_utils import FieldVector
from qcodes.parameters import Function, ParameterBase
from qcodes.validators import Arrays, Validator

__all__ = ["class_name", "has_raised", "kind", "masked", "outcome", "plain"]

_MASKS = (
    (re.compile(r"0x[0-9a-fA-F]+"), "<address>"),
    (re.compile(r"(?<= at )\d{4,}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"in \d+\.\d+s"), "in <seconds>"),
    (re.compile(r" \(checked on the server\)"), ""),
)
_SET = re.compile(r"\{([^{}]+)\}")


@functools.cache
def masked(text: str) -> str:
    """Return a text without identities, times and the order of sets, which no two runs share."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return _SET.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", text)


def class_name(cls: type) -> str:
    """Return the full name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def plain(value: Any) -> Any:
    """Return a value as text, or as a list or dict of texts, with its type; parts of instruments by their names."""
    if type(value) is str:
        return masked(value)
    if isinstance(value, InstrumentBase | ParameterBase):
        return f"<{class_name(value.__class__)} {value.full_name}>"
    if isinstance(value, ChannelTuple):
        return [class_name(value.__class__), *map(plain, value)]
    if isinstance(value, Function):
        return f"<function {value.full_name}>"
    if isinstance(value, Arrays):
        # Its text shows the functions that its shape is made of.
        return [class_name(value.__class__), plain(value.valid_types), outcome(lambda: value.shape)]
    if isinstance(value, Validator):
        return f"{class_name(value.__class__)} {masked(repr(value))}"
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.tolist()}"
    if isinstance(value, datetime):
        return "<time>"
    if isinstance(value, type):
        return class_name(value)
    if isinstance(value, BaseException):
        return ["raises", class_name(type(value)), *(masked(str(argument)) for argument in value.args)]
    if isinstance(value, Mapping):
        return {masked(str(plain(key))): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, set | frozenset):
        return [type(value).__name__, *sorted(str(plain(item)) for item in value)]
    if isinstance(value, str | FieldVector | Enum | np.generic | int | float | complex | bytes | None):
        return f"{type(value).__name__} {value!r}"
    return "object"


def kind(value: Any) -> Any:
    """Return what is left to compare of a value that is random: its type and shape."""
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(kind, value)]
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape}"
    return type(value).__name__


def outcome(action: Callable[[], Any], shown: Callable[[Any], Any] = plain) -> Any:
    """Return what an action returns or raises, with its warnings and what it prints, as plain data.

    Args:
        action: Called without arguments.
        shown: Makes plain data of what it returns.
    """
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(io.StringIO()) as printed:
        warnings.simplefilter("always")
        try:
            found = shown(action())
        except Exception as error:
            found = plain(error)
    if warned:
        # Where a warning points to is another file on a server.
        found = [found, "warns", *(f"{one.category.__name__}: {masked(str(one.message))}" for one in warned)]
    if printed.getvalue():
        found = [found, "prints", masked(printed.getvalue())]
    return found


def has_raised(found: Any) -> bool:
    """Return whether an outcome is an error."""
    return isinstance(found, list) and (found[:1] == ["raises"] or (len(found) > 0 and has_raised(found[0])))
