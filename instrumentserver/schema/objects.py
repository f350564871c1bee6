"""A served object, described for a proxy: what its class, module or function has that clients may use."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .description import SignatureSchema

__all__ = [
    "ASYNC_SPECIALS",
    "OBJECT_SPECIALS",
    "ObjectClassSchema",
    "ObjectMethodSchema",
    "ObjectPropertySchema",
]

_ARITHMETIC: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "or", "xor"),
)
ASYNC_SPECIALS: Final = frozenset(("__aenter__", "__aexit__", "__anext__"))
"""Special methods whose result is waited for with ``await``."""
OBJECT_SPECIALS: Final = frozenset(
    (
        *("__len__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__next__"),
        *("__reversed__", "__call__", "__enter__", "__exit__", "__aiter__", *ASYNC_SPECIALS),
        *("__bool__", "__repr__", "__str__", "__int__", "__float__", "__complex__", "__index__"),
        *("__round__", "__trunc__", "__floor__", "__ceil__", "__abs__", "__neg__", "__pos__", "__invert__"),
        *("__lt__", "__le__", "__gt__", "__ge__"),
        *(f"__{way}{name}__" for name in _ARITHMETIC for way in ("", "r", "i") if way + name != "idivmod"),
    )
)
"""Special methods that proxies of served objects pass on; no other name with an underscore at its beginning is."""


class ObjectMethodSchema(NamedTuple):
    """Something that can be called.

    Attributes:
        name: Its name.
        doc: Its docstring.
        signature: Without ``self``; None where Python knows none.
        is_async: Whether its result is waited for with ``await``.
        is_of_class: Whether it is a static method or class method.
    """

    name: str
    doc: str | None
    signature: SignatureSchema | None
    is_async: bool
    is_of_class: bool


class ObjectPropertySchema(NamedTuple):
    """A public attribute that is no method; its value is asked for each time.

    Attributes:
        name: Its name.
        doc: Its docstring.
        is_settable: Whether clients may set it.
    """

    name: str
    doc: str | None
    is_settable: bool


class ObjectClassSchema(NamedTuple):
    """What all objects of a class look like; or a module, a class or a function.

    Attributes:
        kind: "object", "module", "class", "function", "iterator", "generator", "async_iterator" or "async_generator".
        name: Its name: of a module the last part of it.
        classes: Of an object, its class and the classes above, nearest first, as `class_text` writes them; of a
            class, the same of itself; of a module, its full name alone.
        doc: Its docstring.
        call: How the thing itself is called, None if it cannot be.
        methods: Its public methods, or functions.
        properties: Its other public attributes, as far as they are known without an object.
        constants: Names and values of what never changes, enum classes among them.
        class_members: The classes of a module, or inside a class, by how they are called.
        special: Special methods that it defines.
        is_open: Whether an object may have public attributes of its own beside these.
    """

    kind: str
    name: str
    classes: list[str]
    doc: str | None
    call: ObjectMethodSchema | None
    methods: list[ObjectMethodSchema]
    properties: list[ObjectPropertySchema]
    constants: dict[str, Any]
    class_members: list[ObjectMethodSchema]
    special: list[str]
    is_open: bool
