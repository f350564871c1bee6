"""A driver with a parameter for every validator of QCoDeS, and values of every type to check."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from conformance.kinds import Mode
from conformance.plain import class_name, masked, outcome
from conformance.subject import Looks, Subject
from qcodes import validators
from qcodes.instrument import Instrument
from qcodes.validators import (
    Anything,
    Arrays,
    Bool,
    ComplexNumbers,
    Dict,
    Enum,
    Ints,
    Lists,
    LiteralValidator,
    Multiples,
    MultiType,
    MultiTypeAnd,
    MultiTypeOr,
    Nothing,
    Numbers,
    OnOff,
    PermissiveInts,
    PermissiveMultiples,
    Sequence,
    Strings,
    Validator,
)

__all__ = ["VALIDATORS", "Checking", "Even", "look_at_validators"]


class Even(Validator[int]):
    """A validator of a driver's own."""

    def validate(self, value: int, context: str = "") -> None:
        """Take even numbers."""
        if value % 2:
            raise ValueError(f"{value!r} is odd; {context}")

    def __repr__(self) -> str:
        return "<Even>"


def _bound_size() -> int:
    return 2


VALIDATORS: Final[dict[str, Validator[Any]]] = {
    "anything": Anything(),
    "nothing": Nothing("never allowed"),
    "bool": Bool(),
    "strings": Strings(2, 4),
    "strings_all": Strings(),
    "numbers": Numbers(-1.5, 1.5),
    "numbers_all": Numbers(),
    "numbers_above": Numbers(min_value=np.float64(0.5)),
    "ints": Ints(-3, 3),
    "ints_all": Ints(),
    "permissive_ints": PermissiveInts(0, 5),
    "complex": ComplexNumbers(),
    "enum": Enum("one", 2, None, 3.5, Mode.FAST),
    "literal": LiteralValidator[Literal["low", "high", 4]](),
    "on_off": OnOff(),
    "multiples": Multiples(3, min_value=0, max_value=9),
    "permissive_multiples": PermissiveMultiples(0.25),
    "multi": MultiType(Ints(0, 5), Strings(1, 3)),
    "multi_and": MultiType(Numbers(0, 5), Ints(), combiner="AND"),
    "type_or": MultiTypeOr(Numbers(0, 5), Enum("off")),
    "type_and": MultiTypeAnd(Numbers(0, 5), Numbers(3, 9)),
    "arrays": Arrays(min_value=-1, max_value=1, shape=(2,)),
    "arrays_all": Arrays(),
    "arrays_of_complex": Arrays(shape=(2, 3), valid_types=(np.complexfloating,)),
    "arrays_of_ints": Arrays(valid_types=(np.integer,), shape=(_bound_size,)),
    "lists": Lists(Ints(0, 5)),
    "sequence": Sequence(Numbers(0, 5), length=2, require_sorted=True),
    "sequence_all": Sequence(),
    "callable": validators.Callable(),
    "dict": Dict(allowed_keys=["a", 1]),
    "dict_all": Dict(),
    "own": Even(),
}
"""One or more of every class of `qcodes.validators`, and one of a driver's own."""

_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, 1, 2, 3, -4, 10**20, 0.5, 2.0, 3.5, -1e300, float("nan"), float("inf"), 1j, 1 + 1j),
    *("", "on", "off", "one", "low", "a long text", b"on", Mode.FAST, Mode.SLOW),
    *(np.float32(0.5), np.int64(3), np.complex64(1j), np.bool_(True)),
    *((), [1, 2], [2, 1], (0.5, 1.5), ["a"], {"a": 1}, {"b": 1}, {}, {1, 2}),
    *(np.zeros(2), np.zeros(3), np.ones(2) * 5, np.zeros(2, int), np.zeros((2, 3), complex), np.array(1.0)),
)


class Checking(Instrument):
    """An instrument with a parameter for every validator."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for kind, validator in VALIDATORS.items():
            self.add_parameter(kind, set_cmd=None, get_cmd=None, vals=validator)


def look_at_validators(subject: Subject) -> Looks:
    """See what every validator says of values of every type, asked of the parameter and of itself."""
    for path, parameter in subject.parameters():
        if path == "IDN":
            continue
        vals = parameter.vals
        assert vals is not None
        yield f"{path} repr", masked(repr(vals))
        yield f"{path} class", class_name(vals.__class__)
        yield f"{path} is numeric", vals.is_numeric
        if path != "own":
            yield f"{path} valid values", outcome(lambda v=vals: len(v.valid_values) > 0)
        for value in _VALUES:
            yield f"{path}.validate({value!r})", outcome(lambda p=parameter, v=value: p.validate(v))
            yield f"{path}({value!r})", outcome(lambda p=parameter, v=value: p.set(v))
            if path != "own":  # A driver's own validator stays in its process, where the parameter asks it.
                yield (
                    f"{path}.vals.validate({value!r})",
                    outcome(lambda v=vals, x=value: v.validate(x, "said")),
                )
        yield f"{path}()", outcome(parameter)
