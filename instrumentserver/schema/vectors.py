"""QCoDeS's field vectors as values."""

from __future__ import annotations

from typing import Any, Final

from qcodes.math_utils import FieldVector

from instrumentserver.wire.codec import Extension

__all__ = ["VECTOR_CODE", "vector_extension"]

VECTOR_CODE: Final = 34
_PARTS: Final = ("_x", "_y", "_z", "_r", "_theta", "_phi", "_rho")


def vector_extension() -> Extension:
    """Return what lets `qcodes.math_utils.FieldVector` travel, a vector of magnets' drivers."""
    return Extension(VECTOR_CODE, _dump, _load)


def _dump(value: object) -> Any:
    if type(value) is not FieldVector:
        return None
    # As they are: computed anew, the angles of a vector along an axis would change in the last digit.
    return [getattr(value, part) for part in _PARTS]


def _load(plain: Any) -> FieldVector:
    vector = FieldVector(x=0.0, y=0.0, z=0.0)
    for part, number in zip(_PARTS, plain, strict=True):
        setattr(vector, part, number)
    return vector
