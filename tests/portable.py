"""Values that can travel, for property tests."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

bounded = settings(
    max_examples=150,
    deadline=timedelta(seconds=2),
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The same examples in every run: a test that passes, passes again."""


class Color(enum.Enum):
    """Plain members, one with an alias."""

    RED = 1
    GREEN = "green"
    ROSE = 1  # noqa: PIE796  (an alias)


class Speed(enum.IntEnum):
    """Members that are numbers."""

    SLOW = 1
    FAST = 2


class Mode(enum.StrEnum):
    """Members that are strings."""

    DC = "dc"


class Coupling(str, enum.Enum):  # noqa: UP042  (as drivers wrote it before StrEnum)
    """Members that are strings, the old way."""

    AC = "ac"


class Status(enum.Flag):
    """Members that combine."""

    READY = 1
    BUSY = 2
    ERROR = 4


class Bits(enum.IntFlag):
    """Members that combine, also with what has no name."""

    LOW = 1
    HIGH = 128


class Point(NamedTuple):
    """A tuple with names."""

    x: float
    y: Any = None


members = st.sampled_from(
    [
        *Color,
        *Speed,
        *Mode,
        *Coupling,
        Status.READY,
        Status.READY | Status.ERROR,
        Status(0),
        *Bits,
        Bits(3 | 64),
    ]
)

times = st.one_of(
    st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=False),
    st.times(),
    st.dates(),
    st.timedeltas(),
)

scalar_dtypes = hnp.scalar_dtypes()

numpy_scalars = scalar_dtypes.flatmap(lambda dtype: hnp.from_dtype(dtype)).map(
    lambda value: value if isinstance(value, np.generic) else np.asarray(value)[()]
)

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
)

# A signalling nan refuses to be a key.
decimals = st.decimals().filter(lambda number: not number.is_snan())

hashable = st.recursive(
    st.one_of(plain, times, members, st.fractions(), decimals, st.uuids(), numpy_scalars),
    lambda inner: st.one_of(
        st.tuples(inner, inner), st.frozensets(inner, max_size=3), st.builds(Point, inner, inner)
    ),
    max_leaves=4,
)


def _laid_out(drawn: tuple[np.ndarray[Any, Any], str]) -> np.ndarray[Any, Any]:
    array, order = drawn
    if order == "F":
        return np.asfortranarray(array)
    return array[::-1] if order == "reversed" and array.ndim else array


arrays = st.tuples(
    hnp.arrays(
        dtype=st.one_of(scalar_dtypes, hnp.array_dtypes()),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
    ),
    st.sampled_from(["C", "F", "reversed"]),
).map(_laid_out)

values = st.recursive(
    st.one_of(hashable, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(hashable, inner, max_size=4),
        st.sets(hashable, max_size=4),
    ),
    max_leaves=8,
)
"""Anything of the table of types, at any depth."""
