"""Types in which a client wants data, whatever the channel's own."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, ChannelType

__all__ = ["NATIVE", "Wanted", "convert", "wanted_type"]

Data = np.ndarray[Any, Any] | list[bytes]

_BLOCKS: Final = {"native": 0, "status": 7, "time": 14, "graphic": 21, "control": 28}
_TYPES: Final = 7
_DTYPES: Final = (None, np.int16, np.float32, np.uint16, np.uint8, np.int64, np.float64)


class Wanted(NamedTuple):
    """What a client asked for.

    Attributes:
        block: 0 for the value alone, 7 with status, 14 with time, 21 with display limits, 28 with control limits.
        base: One of the first seven types; None for the channel's own.
    """

    block: int
    base: ChannelType | None

    def type_of(self, schema: ChannelSchema) -> ChannelType:
        """Return the type that a response to this has."""
        return ChannelType(self.block + (schema.type if self.base is None else self.base))

    @property
    def has_limits(self) -> bool:
        """Whether limits were asked for, which a driver may change at any time."""
        return self.block >= _BLOCKS["graphic"]


NATIVE: Final = Wanted(0, None)


def wanted_type(data_type: object) -> Wanted:
    """Return what a ``data_type`` argument asks for.

    Raises:
        KeyError: A text that is none of native, status, time, graphic and control.
        ValueError: A number that is none of a type.
    """
    if data_type is None:
        return NATIVE
    if isinstance(data_type, str):
        return Wanted(_BLOCKS[data_type], None)
    number = ChannelType(data_type)  # type: ignore[arg-type]  # anything else is refused there
    return Wanted(number - number % _TYPES, ChannelType(number % _TYPES))


def convert(schema: ChannelSchema, data: Data, wanted: Wanted, count: int | None) -> Data:
    """Return data of a channel in the type that a client wants, at most ``count`` elements; 0 and None mean all.

    Raises:
        UsageError: They have no form in that type.
    """
    if count:
        data = data[:count]
    base = wanted.base
    if base is None or base == schema.type:
        return data
    if base == ChannelType.STRING:
        return _texts(schema, data)
    dtype = _DTYPES[base]
    assert dtype is not None
    if isinstance(data, list):
        try:
            data = np.array([float(item) for item in data])
        except ValueError:
            raise UsageError(
                f"{schema.path}: {data!r:.80} cannot be read as {base.name}; read it as STRING"
            ) from None
    with np.errstate(invalid="ignore", over="ignore"):
        return data.astype(dtype)


def _texts(schema: ChannelSchema, data: Data) -> list[bytes]:
    if schema.choices:
        return [schema.choices[int(number)].encode() for number in data]
    return [str(item).encode() for item in np.asarray(data).tolist()]
