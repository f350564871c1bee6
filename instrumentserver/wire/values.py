"""The types of the wire that are neither plain msgpack nor arrays: one table, both directions."""

from __future__ import annotations

import enum
import functools
import inspect
import operator
import threading
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, ItemsView, KeysView, Set, ValuesView
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from instrumentserver.errors import NotPortable

from .arrays import (
    dump_dtype,
    dump_object_array,
    dump_scalar,
    load_any_dtype,
    load_object_array,
    load_scalar,
)
from .classes import class_name, find_class

__all__ = ["as_list", "dump", "form", "load", "shown"]

_MOST_MEMBERS: Final = 256
"""Enums with more members than this send only the one member, to classes that the peer has."""
_MOST_STAND_INS: Final = 256
"""Classes made for the values of a peer's classes; when there are more, the oldest is made anew."""


_CONTAINERS: Final[tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...]] = (
    ((dict, MappingProxyType), dict),
    ((list, deque, KeysView, ValuesView, ItemsView), list),
)
"""Containers of other kinds, such as `collections.Counter`: their content arrives as a dict or a list."""
_ONLY_DRESSED: Final = "ruamel."
"""Where heirs of built-in types are those types with comments, from a YAML file; they travel as such a type."""
_PLAIN_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, lambda value: "".join((value,))),
    (float, float),
    (int, int),
    (datetime, lambda value: datetime.combine(value.date(), value.timetz())),
    (Set, set),
)


def dump(value: Any) -> list[Any]:
    """Return a list of plain values that `load` takes, its first item the name of the kind.

    Raises:
        NotPortable: The value is of no type of the table.
    """
    plain = form(value)
    if plain is None:
        raise NotPortable(_refusal(value))
    return plain


def form(value: Any) -> list[Any] | None:
    """Return what `dump` returns, but None for a value that is of no type of the table.

    Raises:
        NotPortable: It is of a type of the table, but holds something without a form.
    """
    kind = type(value)
    dumper = _EXACT.get(kind)
    if dumper is not None:
        return dumper(value)
    for base, base_dumper in _FAMILIES:
        if isinstance(value, base):
            return base_dumper(value)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return ["namedtuple", *class_name(kind), list(kind._fields), list(value)]
    for bases, convert in _CONTAINERS:
        if isinstance(value, bases):
            return ["plain", convert(value)]
    for base, convert in _PLAIN_BASES:
        if isinstance(value, base) and kind.__module__.startswith(_ONLY_DRESSED):
            return ["plain", convert(value)]
    return None


def load(kind: str, *parts: Any) -> Any:
    """Return the value for what `dump` returned."""
    return _LOADERS[kind](*parts)


def as_list(items: Any) -> list[Any]:
    """Return ``items`` after making sure that they are a list; a range of any length would be short on the wire."""
    if type(items) is not list:
        raise TypeError(f"items of a container are a list, not {type(items).__name__}")
    return items


def shown(value: Any, longest: int = 80) -> str:
    """Return how a value reads, in at most ``longest`` characters, whatever its own ``repr`` does."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  (a class of somebody else's may fail in any way)
        return f"<{type(value).__qualname__} whose repr fails: {type(error).__name__}>"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _refusal(value: Any) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if inspect.isroutine(value) or inspect.isclass(value):
        own_name = getattr(value, "__qualname__", None) or shown(value)
        return (
            f"{own_name} ({name}) cannot travel to another process: code stays where it is; "
            f"make it a method of the instrument and call that"
        )
    return (
        f"{shown(value)} of class {name} cannot travel to another process; "
        f"send a dict, list, tuple, number, string or numpy array instead, "
        f"or keep the object on the server and call a method of the instrument that uses it"
    )


# Times


def _dump_zone(zone: tzinfo | None, at: datetime | time) -> Any:
    if zone is None or zone is UTC:
        return None if zone is None else "UTC"
    if isinstance(zone, ZoneInfo) and zone.key:
        return ["zone", zone.key]
    offset = at.utcoffset()
    if offset is None:
        raise NotPortable(
            f"the time zone {zone!r} of {at!r} cannot travel; use zoneinfo or datetime.timezone"
        )
    return ["offset", _dump_timedelta(offset)[1:], at.tzname()]


def _load_zone(zone: Any) -> tzinfo | None:
    if zone is None or zone == "UTC":
        return None if zone is None else UTC
    kind, value, *rest = zone
    if kind == "zone":
        return ZoneInfo(value)
    offset, name = timedelta(*value), rest[0]
    plain = timezone(offset)
    return plain if name is None or plain.tzname(None) == name else timezone(offset, name)


def _dump_datetime(value: datetime) -> list[Any]:
    naive = value.replace(tzinfo=None)
    return ["datetime", naive.isoformat(), value.fold, _dump_zone(value.tzinfo, value)]


def _dump_time(value: time) -> list[Any]:
    naive = value.replace(tzinfo=None)
    return ["time", naive.isoformat(), value.fold, _dump_zone(value.tzinfo, value)]


def _dump_timedelta(value: timedelta) -> list[Any]:
    return ["timedelta", value.days, value.seconds, value.microseconds]


# Enums

_ENUM_KINDS: Final[tuple[type[enum.Enum], ...]] = (
    enum.IntFlag,
    enum.Flag,
    enum.IntEnum,
    enum.StrEnum,
    enum.Enum,
)
_MIXINS: Final[dict[str, type]] = {cls.__name__: cls for cls in (int, float, str, bytes)}
"""Types beside `enum.Enum` from which the members of an enum may be made, such as ``class Mode(str, Enum)``."""
_stand_ins: Final[dict[Any, type[enum.Enum]]] = {}
_guard: Final = threading.Lock()


def _dump_enum(value: enum.Enum) -> list[Any]:
    cls = type(value)
    members = [[name, _enum_value(member)] for name, member in cls.__members__.items()]
    return [
        "enum",
        *class_name(cls),
        _enum_kind(cls),
        value.name,
        _enum_value(value),
        members if len(members) <= _MOST_MEMBERS else [[value.name, _enum_value(value)]],
    ]


def _dump_enum_class(cls: enum.EnumType) -> list[Any] | None:
    kind: type[enum.Enum] = cls  # type: ignore[assignment]
    members = [[name, _enum_value(member)] for name, member in kind.__members__.items()]
    if not members or len(members) > _MOST_MEMBERS:
        return None
    doc = vars(cls).get("__doc__")
    return ["enumclass", *class_name(kind), _enum_kind(kind), members, doc if type(doc) is str else None]


def _enum_kind(cls: type[enum.Enum]) -> str:
    kind = next(kind for kind in _ENUM_KINDS if issubclass(cls, kind))
    made_of = next(
        (name for name, mixin in _MIXINS.items() if kind is enum.Enum and issubclass(cls, mixin)), None
    )
    if made_of is not None and all(type(member.value) is _MIXINS[made_of] for member in cls):
        return made_of
    return kind.__name__


def _enum_value(member: enum.Enum) -> Any:
    """Return the value of a member, or how it reads where it has no simple form: the name says it all."""
    value = member.value
    return value if _is_simple(value) else shown(value)


def _is_simple(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(_is_simple(item) for item in value)
    return (
        value is None
        or type(value) in (bool, int, float, complex, str, bytes)
        or isinstance(value, np.generic)
    )


def _load_enum(
    module: str, qualname: str, kind: str, name: str | None, value: Any, members: Any
) -> enum.Enum:
    cls = find_class(module, qualname)
    if cls is not None and issubclass(cls, enum.Enum):
        if name is not None and name in cls.__members__:
            return cls[name]
        try:
            return cls(value)
        except ValueError:
            pass  # The peer's version of the class has a member that ours has not.
    cls = _stand_in(module, qualname, kind, as_list(members))
    return cls[name] if name is not None and name in cls.__members__ else cls(value)


def _load_enum_class(module: str, qualname: str, kind: str, members: Any, doc: str | None) -> type[enum.Enum]:
    cls = find_class(module, qualname)
    if cls is not None and issubclass(cls, enum.Enum):
        return cls
    stand_in = _stand_in(module, qualname, kind, as_list(members))
    if doc is not None:
        stand_in.__doc__ = doc
    return stand_in


def _stand_in(module: str, qualname: str, kind: str, members: list[Any]) -> type[enum.Enum]:
    """Return an enum with the name and the members of one that this process does not have."""
    key = (module, qualname, kind, repr(members))
    with _guard:
        cls = _stand_ins.get(key)
        if cls is None:
            if len(_stand_ins) >= _MOST_STAND_INS:
                del _stand_ins[next(iter(_stand_ins))]
            cls = _stand_ins[key] = _new_enum(module, qualname, kind, members)
        return cls


def _new_enum(module: str, qualname: str, kind: str, members: list[Any]) -> type[enum.Enum]:
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"an enum of {len(members)} members")
    for name, _ in members:
        # What Python or `enum` reads a meaning into is no member.
        if name.startswith("_") and name.endswith("_"):
            raise ValueError(f"an enum with a member {name!r:.80}")
    base = next((base for base in _ENUM_KINDS if base.__name__ == kind), enum.Enum)
    made: type[enum.Enum] = enum.EnumType.__call__(
        base,
        qualname.rpartition(".")[2],
        members,
        module=module,
        qualname=qualname,
        type=_MIXINS.get(kind),
    )

    def reduce(member: enum.Enum, protocol: object) -> tuple[Any, ...]:
        """Pickle a member by what its class is made of, for nobody can import that class."""
        return _load_enum, (module, qualname, kind, member.name, member.value, members)

    made.__reduce_ex__ = reduce  # type: ignore[assignment]
    return made


# Other


def _dump_int(value: int) -> list[Any]:
    return ["int", value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)]


def _load_named_tuple(module: str, qualname: str, fields: list[str], items: list[Any]) -> Any:
    cls: Any = find_class(module, qualname)
    if cls is None or not issubclass(cls, tuple) or list(getattr(cls, "_fields", ())) != fields:
        cls = _new_named_tuple(module, qualname, tuple(as_list(fields)))
    return cls._make(as_list(items))


@functools.lru_cache(_MOST_STAND_INS)
def _new_named_tuple(module: str, qualname: str, fields: tuple[str, ...]) -> Any:
    """Return a named tuple with the name and the fields of one that this process does not have."""
    return namedtuple(qualname.rpartition(".")[2], fields, module=module)


def _load_fraction(numerator: int, denominator: int) -> Fraction:
    # Text such as 1e999999999 is short, and its fraction is not.
    return Fraction(operator.index(numerator), operator.index(denominator))


_Dumper = Callable[[Any], list[Any] | None]

_EXACT: Final[dict[type, _Dumper]] = {
    int: _dump_int,
    complex: lambda value: ["complex", value.real, value.imag],
    set: lambda value: ["set", list(value)],
    frozenset: lambda value: ["frozenset", list(value)],
    datetime: _dump_datetime,
    date: lambda value: ["date", value.isoformat()],
    time: _dump_time,
    timedelta: _dump_timedelta,
    range: lambda value: ["range", value.start, value.stop, value.step],
    slice: lambda value: ["slice", value.start, value.stop, value.step],
    type(...): lambda value: ["ellipsis"],
    type(NotImplemented): lambda value: ["notimplemented"],
    OrderedDict: lambda value: ["ordereddict", [list(item) for item in value.items()]],
    Decimal: lambda value: ["decimal", str(value)],
    Fraction: lambda value: ["fraction", value.numerator, value.denominator],
    UUID: lambda value: ["uuid", value.bytes],
    np.ndarray: lambda value: ["objects", *dump_object_array(value)],
}

_FAMILIES: Final[tuple[tuple[type, _Dumper], ...]] = (
    (enum.Enum, _dump_enum),
    (enum.EnumType, _dump_enum_class),
    (np.generic, lambda value: ["scalar", *dump_scalar(value)]),
    (PurePath, lambda value: ["path", str(value)]),
    (np.dtype, lambda value: ["dtype", dump_dtype(value)]),
)

_LOADERS: Final[dict[str, Callable[..., Any]]] = {
    "int": lambda raw: int.from_bytes(raw, "big", signed=True),
    "complex": complex,
    "set": lambda items: set(as_list(items)),
    "frozenset": lambda items: frozenset(as_list(items)),
    "datetime": lambda text, fold, zone: datetime.fromisoformat(text).replace(
        tzinfo=_load_zone(zone), fold=fold
    ),
    "date": date.fromisoformat,
    "time": lambda text, fold, zone: time.fromisoformat(text).replace(tzinfo=_load_zone(zone), fold=fold),
    "timedelta": timedelta,
    "range": range,
    "slice": slice,
    "ellipsis": lambda: ...,
    "notimplemented": lambda: NotImplemented,
    "ordereddict": lambda items: OrderedDict(as_list(items)),
    "decimal": Decimal,
    "fraction": _load_fraction,
    "uuid": lambda raw: UUID(bytes=raw),
    "enum": _load_enum,
    "enumclass": _load_enum_class,
    "scalar": load_scalar,
    "objects": load_object_array,
    "namedtuple": _load_named_tuple,
    "path": Path,
    "plain": lambda value: value,
    "dtype": load_any_dtype,
}
