"""QCoDeS validators as values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Literal

from qcodes import validators as qc
from qcodes.parameters import ParameterBase
from qcodes.parameters.parameter_base import GetLatest

from instrumentserver.errors import NotPortable, UsageError
from instrumentserver.wire.classes import class_name, class_text, find_class, find_class_text
from instrumentserver.wire.codec import Codec, Extension

__all__ = ["VALIDATOR_CODE", "ServerSize", "ServerValidator", "bind_sizes", "validator_extension"]

VALIDATOR_CODE: Final = 33

_ARGUMENTS: Final[dict[type[qc.Validator[Any]], tuple[str, ...]]] = {
    qc.Anything: (),
    qc.Nothing: ("reason",),
    qc.Bool: (),
    qc.Strings: ("min_length", "max_length"),
    qc.Numbers: ("min_value", "max_value"),
    qc.Ints: ("min_value", "max_value"),
    qc.PermissiveInts: ("min_value", "max_value"),
    qc.ComplexNumbers: (),
    qc.OnOff: (),
    qc.Multiples: ("divisor", "min_value", "max_value"),
    qc.PermissiveMultiples: ("divisor", "precision"),
    qc.Lists: ("elt_validator",),
    qc.Sequence: ("elt_validator", "length", "require_sorted"),
    qc.Callable: (),
    qc.Dict: ("allowed_keys",),
}
"""Keyword arguments of the constructors; each is kept in the attribute of that name with an underscore."""


class ServerValidator(qc.Validator[Any]):
    """Stands for a validator that cannot travel; only the server can check a value against it.

    Args:
        text: How the validator reads on the server.
        is_numeric: Whether it takes numbers.
        classes: Its class and the classes above, nearest first, as `class_text` writes them.

    `validate` of the parameter asks the server; `validate` of this object takes every value.
    """

    def __init__(self, text: str, is_numeric: bool, classes: list[str]) -> None:
        self._text = text
        self._classes = classes
        self.is_numeric = is_numeric

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        found = (cls for cls in map(find_class_text, self._classes) if cls is not None)
        return next(found, ServerValidator)

    def validate(self, value: Any, context: str = "") -> None:
        """Take every value: the server checks it when it is set."""

    def __repr__(self) -> str:
        return f"{self._text} (checked on the server)"


class ServerSize:
    """Stands for a function of the server that tells a length of an array.

    Args:
        key: The same for equal functions: QCoDeS compares the lengths of setpoints with those of the data.
        text: How the function reads.

    Attributes:
        ask: Returns the length, from the server; set by the parameter that has the validator.
    """

    def __init__(self, key: int, text: str) -> None:
        self.key = key
        self.text = text
        self.ask: Callable[[], int] | None = None

    def __call__(self) -> int:
        """Return the length as it is now."""
        if self.ask is None:
            raise UsageError("this length is known to the server only; read vals of the parameter again")
        return self.ask()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerSize) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.text


def bind_sizes(validator: Any, ask: Callable[[str], Any], place: str) -> None:
    """Let the lengths of arrays that are the server's functions ask it.

    Args:
        validator: As it came.
        ask: Returns an attribute of the parameter on the server, also a nested one.
        place: The attribute that leads to the validator there.
    """
    if isinstance(validator, qc.Arrays):
        for number, size in enumerate(validator.shape_unevaluated or ()):
            if isinstance(size, ServerSize):
                size.ask = functools.partial(ask, f"{place}.shape[{number}]")
    for number, part in enumerate(getattr(validator, "_validators", ())):
        bind_sizes(part, ask, f"{place}._validators[{number}]")


def validator_extension(*, to_server: bool = False) -> Extension:
    """Return what lets validators travel.

    Args:
        to_server: Whether a validator that cannot travel is refused; otherwise a `ServerValidator` stands for it.
    """
    return Extension(VALIDATOR_CODE, _dump_strictly if to_server else _dump, _load)


def _dump(value: object) -> Any:
    if not isinstance(value, qc.Validator):
        return None
    classes = [class_text(cls) for cls in type(value).__mro__ if cls is not object]
    return _dump_exact(value) or ["ServerValidator", [repr(value), bool(value.is_numeric), classes]]


def _dump_strictly(value: object) -> Any:
    if not isinstance(value, qc.Validator):
        return None
    exact = None if type(value) is ServerValidator else _dump_exact(value)
    if exact is None:
        raise NotPortable(
            f"the validator {value!r} cannot travel, so the server could not check anything with it; use one of "
            f"qcodes.validators, or set it in the driver"
        )
    return exact


def _dump_exact(value: qc.Validator[Any]) -> list[Any] | None:
    """Return name and arguments of a validator of QCoDeS's own, None for any other."""
    kind = type(value)
    name = kind.__name__
    if kind is ServerValidator:
        stand_in: Any = value
        return [name, [stand_in._text, stand_in.is_numeric, stand_in._classes]]
    if kind is qc.Enum:
        values = list(value._valid_values)
        return [name, values] if _is_portable(values) else None
    if kind is qc.LiteralValidator:
        allowed = list(value.valid_values)
        return [name, allowed] if _is_portable(allowed) else None
    if isinstance(value, qc.MultiType) and kind in (qc.MultiType, qc.MultiTypeOr, qc.MultiTypeAnd):
        return ["MultiType", list(value._validators), value._combiner, name]
    if isinstance(value, qc.Arrays) and kind is qc.Arrays:
        return [name, *_dump_arrays(value)]
    names = _ARGUMENTS.get(kind)
    if names is None or (isinstance(value, qc.Dict) and not _is_portable(value._allowed_keys)):
        return None
    return [name, {argument: getattr(value, f"_{argument}") for argument in names}]


def _is_portable(value: Any) -> bool:
    try:
        Codec().encode(value)
    except NotPortable:
        return False
    return True


def _dump_arrays(value: qc.Arrays) -> list[Any]:
    shape = value.shape_unevaluated
    types = [class_name(kind) for kind in value.valid_types]
    sizes = None if shape is None else [_dump_size(size) for size in shape]
    return [value._min_value, value._max_value, sizes, types]


def _dump_size(size: Any) -> Any:
    """Return a length of an array: a number, a parameter whose value it is, or what stands for a function."""
    if size is None:
        return None
    if isinstance(size, GetLatest):
        return ["latest", size.parameter]
    if isinstance(size, ParameterBase):
        return ["parameter", size]
    if isinstance(size, ServerSize):
        return ["call", [size.key, size.text]]
    # The hash is that of every equal function: bound methods are made anew at each use.
    return ["call", [hash(size), repr(size)]] if callable(size) else int(size)


def _load(plain: Any) -> qc.Validator[Any]:
    name, *parts = plain
    if name == "ServerValidator":
        return ServerValidator(*parts[0])
    if name == "Enum":
        return qc.Enum(*parts[0])
    if name == "LiteralValidator":
        generic: Any = qc.LiteralValidator
        literal: qc.Validator[Any] = generic[Literal[tuple(parts[0])]]()
        return literal
    if name == "MultiType":
        validators, combiner, kind = parts
        if kind == "MultiType":
            return qc.MultiType(*validators, combiner=combiner)
        return {"MultiTypeOr": qc.MultiTypeOr, "MultiTypeAnd": qc.MultiTypeAnd}[kind](*validators)
    if name == "Arrays":
        return _load_arrays(*parts)
    kinds = {kind.__name__: kind for kind in _ARGUMENTS}
    return kinds[name](**parts[0])


def _load_arrays(min_value: Any, max_value: Any, sizes: Any, types: Any) -> qc.Arrays:
    shape = None
    if sizes is not None:
        shape = tuple(size if size is None or isinstance(size, int) else _load_size(*size) for size in sizes)
    found = tuple(kind for kind in (find_class(*name) for name in types) if kind is not None)
    # None, for any length, works, though QCoDeS's annotation has it not.
    return qc.Arrays(min_value, max_value, shape=shape, valid_types=found or None)  # type: ignore[arg-type]


def _load_size(kind: str, what: Any) -> Any:
    if kind == "call":
        return ServerSize(*what)
    return what.get_latest if kind == "latest" else what
