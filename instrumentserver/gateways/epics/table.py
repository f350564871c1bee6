"""The table of what is served: names of process variables, and what each stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, ChannelType, refine

__all__ = ["LONGEST_CA_NAME", "Changes", "Function", "Row", "Table", "as_served", "check_prefix", "misfit"]

LONGEST_CA_NAME: Final = 59
"""Characters that Channel Access has for a name."""
_LONGEST_PVA_NAME: Final = 500
# What the database of EPICS refuses: blanks, quotes, the dot and the dollar sign, which have meanings of their own.
_ILLEGAL: Final = re.compile(r"[^!-~]|[\"'.$]")


class Function(NamedTuple):
    """A QCoDeS function, as something to call.

    Attributes:
        path: Its path, ``dac.reset``.
        doc: Its docstring.
        arity: How many arguments it takes.
    """

    path: str
    doc: str = ""
    arity: int = 0


class Row(NamedTuple):
    """A process variable.

    Attributes:
        name: Its name.
        address: The server's address.
        what: The parameter as a channel, or the function.
    """

    name: str
    address: str
    what: ChannelSchema | Function

    @property
    def path(self) -> str:
        """The parameter's or function's path on its server."""
        return self.what.path

    @property
    def instrument(self) -> str:
        """The name of its instrument."""
        return self.what.path.partition(".")[0]


class Changes(NamedTuple):
    """What an update changed.

    Attributes:
        removed: Rows that went, also those that came back as something else.
        added: Rows that came.
        described: Rows whose parameter got another unit, label or limits.
        refused: Names that are newly not served, and why.
    """

    removed: list[Row]
    added: list[Row]
    described: list[Row]
    refused: dict[str, str]


class Table:
    """All that is served, by name.

    Args:
        prefix: What every name begins with.
        longest: Characters that a name may have.

    Attributes:
        rows: What is served, by name.
        refused: Names that are not, and why.
    """

    def __init__(self, prefix: str, longest: int = LONGEST_CA_NAME) -> None:
        self._prefix = check_prefix(prefix)
        self._longest = min(longest, _LONGEST_PVA_NAME)
        self._known: dict[str, list[ChannelSchema | Function]] = {}
        self.rows: dict[str, Row] = {}
        self.refused: dict[str, str] = {}

    def update(self, address: str, found: Iterable[ChannelSchema | Function]) -> Changes:
        """Take over what a server has now, and return what that changes.

        Args:
            address: The server's address.
            found: Its parameters and functions.
        """
        self._known[address] = list(found)
        rows: dict[str, Row] = {}
        refused: dict[str, str] = {}
        for server, known in self._known.items():
            for what in known:
                row = Row(self.name_of(what.path), server, what)
                reason = self._problem(row, rows.get(row.name))
                if reason is None:
                    rows[row.name] = row
                else:
                    refused[row.name if row.name not in rows else f"{row.name} of {server}"] = reason
        old, self.rows = self.rows, rows
        known_refused, self.refused = self.refused, refused
        kept = {name for name in old.keys() & rows.keys() if _kind(old[name]) == _kind(rows[name])}
        return Changes(
            [row for name, row in old.items() if name not in kept],
            [row for name, row in rows.items() if name not in kept],
            [row for name, row in rows.items() if name in kept and row != old[name]],
            {name: reason for name, reason in refused.items() if known_refused.get(name) != reason},
        )

    def name_of(self, path: str) -> str:
        """Return the name under which a parameter is served: ``lab:dac:ch1:v`` for ``dac.ch1.v``."""
        return self._prefix + path.replace(".", ":")

    def _problem(self, row: Row, other: Row | None) -> str | None:
        """Return why a row cannot be served, None if it can."""
        illegal = _ILLEGAL.search(row.name)
        if illegal:
            return f"{illegal.group()!r} cannot be part of the name of a process variable; rename it in the driver"
        if len(row.name) > self._longest:
            return (
                f"the name has {len(row.name)} characters, and Channel Access takes {self._longest} at most; "
                f"choose a shorter prefix than {self._prefix!r}, or a shorter name for the instrument"
            )
        if other is not None:
            return (
                f"{other.path} of {other.address} has that name already; serve one of the two servers by a gateway "
                f"of its own, with another prefix"
            )
        return None


def _kind(row: Row) -> Row:
    """Return a row without what may change under the eyes of a client."""
    if isinstance(row.what, Function):
        return row._replace(what=row.what._replace(doc=""))
    what = row.what._replace(unit="", label="", doc="", lower=None, upper=None, precision=0, poll_period=None)
    what = what._replace(shape=[])
    return row._replace(what=what)


def check_prefix(prefix: str) -> str:
    """Return a prefix after making sure that names may begin with it.

    Raises:
        UsageError: They may not.
    """
    illegal = _ILLEGAL.search(prefix)
    if illegal:
        raise UsageError(
            f"prefix {prefix!r} has {illegal.group()!r}, which names of process variables cannot have; "
            f"use letters, digits and ':', as in 'lab:'"
        )
    return prefix


def as_served(
    schema: ChannelSchema, known: ChannelSchema | Function | None = None, *, read_only: bool = False
) -> ChannelSchema:
    """Return a channel as the gateway serves it.

    Where nothing but the latest value says of which type a parameter is, a whole number is served as any number: the
    next value may have a fraction. An array has as many elements as there ever were.

    Args:
        schema: What the server says.
        known: As what it has been served.
        read_only: Whether nothing is to be written.
    """
    if schema.is_guessed and schema.is_array:
        if isinstance(known, ChannelSchema) and known.is_array and known.type == schema.type:
            schema = schema._replace(count=max(schema.count, known.count))
    elif schema.is_guessed and schema.type == ChannelType.LONG:
        schema = schema._replace(type=int(ChannelType.DOUBLE))
    return schema._replace(settable=False) if schema.settable and read_only else schema


def misfit(schema: ChannelSchema, value: Any) -> tuple[Any, ...] | None:
    """Return of what kind a value is that a channel of a guessed type cannot have, None if it can have it."""
    if not schema.is_guessed:
        return None
    fit = as_served(refine(schema, value), schema)
    kind = (fit.type, fit.is_array, fit.count, tuple(fit.choices))
    return None if kind == (schema.type, schema.is_array, schema.count, tuple(schema.choices)) else kind
