"""Adapters: what Pyro's daemon calls in place of objects that live on a server.

Pyro shows of an object what its class has and what is marked as exposed. So every class of the server gets an adapter
class with a method for each method, and a property for everything else that is public.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.client.objects.proxy import RemoteObject
from instrumentserver.schema.objects import ObjectClassSchema

if TYPE_CHECKING:
    from .table import Table

__all__ = ["Adapter", "adapter_class", "schema_of"]

_SPECIALS: Final = ("__len__", "__getitem__", "__setitem__", "__delitem__", "__contains__")
"""Special methods that Pyro's clients call; `__iter__` is made here."""


class Adapter:
    """Stands for one object of the server; Pyro's daemon calls its subclasses' methods, in any thread.

    Args:
        remote: The object's proxy.
        table: The table that it is in.
    """

    def __init__(self, remote: RemoteObject, table: Table) -> None:
        self._remote = remote
        self._table = table


def schema_of(remote: RemoteObject) -> ObjectClassSchema:
    """Return what an object has by its class."""
    schema: ObjectClassSchema = type(remote)._shape  # type: ignore[attr-defined]
    return schema


def adapter_class(
    schema: ObjectClassSchema, attributes: Iterable[str], more: dict[str, Callable[..., Any]]
) -> type[Adapter]:
    """Return a new class for adapters.

    Args:
        schema: What the object has by its class.
        attributes: Public attributes that it has beside these.
        more: Further methods, by name, none of which hides one of the object's.
    """
    members: dict[str, Any] = {"__doc__": schema.doc}
    for method in (*schema.methods, *schema.class_members):
        members[method.name] = _method(method.name, method.doc)
    for name in (
        *attributes,
        *(name for name in schema.constants if not _is_enum_class(schema.constants[name])),
    ):
        members.setdefault(name, _property(name, None, is_settable=name in attributes))
    for each in schema.properties:
        members[each.name] = _property(each.name, each.doc, is_settable=each.is_settable)
    for name in _SPECIALS:
        if name in schema.special:
            members[name] = _special(name)
    if "__iter__" in schema.special:
        members["__iter__"] = _exposed(_iterate, "__iter__", None)
    for name, function in more.items():
        members.setdefault(name, _exposed(function, name, function.__doc__))
    return type(schema.name, (Adapter,), members)


def _method(name: str, doc: str | None) -> Any:
    def method(self: Adapter, *args: Any, **kwargs: Any) -> Any:
        return self._table.answer(lambda load: self._remote._call(name, load(args), load(kwargs)), name)

    return _exposed(method, name, doc)


def _special(name: str) -> Any:
    def method(self: Adapter, *args: Any) -> Any:
        return self._table.answer(lambda load: self._remote._call(name, load(args), {}), name)

    return _exposed(method, name, None)


def _iterate(self: Adapter) -> Any:
    return self._table.answer(lambda load: iter(self._remote), "__iter__")  # type: ignore[call-overload]


def _property(name: str, doc: str | None, *, is_settable: bool) -> property:
    def read(self: Adapter) -> Any:
        return self._table.answer(lambda load: self._remote._get(name), name)

    def write(self: Adapter, value: Any) -> None:
        self._table.answer(lambda load: self._remote._set(name, load(value)), name)

    read = _exposed(read, name, doc)
    return property(read, _exposed(write, name, doc) if is_settable else None, doc=doc)


def _exposed(function: Any, name: str, doc: str | None) -> Any:
    """Return a function, marked as Pyro wants it."""
    function.__name__ = name
    function.__doc__ = doc
    function._pyroExposed = True
    return function


def _is_enum_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, enum.Enum)
