"""From a served object to the schema that its proxies' class is built from."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import MethodType, ModuleType
from typing import Any, Final

from instrumentserver.schema import (
    OBJECT_SPECIALS,
    ObjectClassSchema,
    ObjectMethodSchema,
    ObjectPropertySchema,
)
from instrumentserver.wire.classes import class_text

from ..describe import describe_method
from .exposure import Exposure
from .forbidden import check_code, is_bare, is_code
from .members import find_static
from .own_names import is_value

__all__ = ["describe_object", "shape_of"]

IsPortable = Callable[[Any], bool]

_SIMPLE: Final = (bool, int, float, complex, str, bytes, type(None))
_MOST_CONSTANTS: Final = 4096


def shape_of(thing: Any) -> Any:
    """Return what is the same for all things with the same schema."""
    if isinstance(thing, MethodType):
        return "method", thing.__func__, class_text(type(thing.__self__))
    if isinstance(thing, ModuleType | type) or is_bare(thing):
        return "thing", id(thing)
    return type(thing)


def describe_object(thing: Any, exposure: Exposure, is_portable: IsPortable) -> ObjectClassSchema:
    """Return the schema of an object's class, or of a module, class or function; runs no property of it.

    Args:
        thing: The object.
        exposure: What of it clients may use.
        is_portable: Tells whether a value, such as an argument's default, can travel.
    """
    kind = _kind(thing)
    if kind == "function":
        return _describe_function(thing, is_portable)
    holder: Any = thing if isinstance(thing, ModuleType | type) else type(thing)
    is_object = not isinstance(thing, ModuleType | type)
    methods, properties, classes = [], [], []
    constants: dict[str, Any] = {}
    for name in exposure.members(thing):
        static = vars(thing)[name] if isinstance(thing, ModuleType) else find_static(holder, name)
        if isinstance(thing, enum.EnumType) and name in thing.__members__:
            properties.append(ObjectPropertySchema(name, None, is_settable=False))
        elif isinstance(static, enum.EnumType) and is_value(static):
            constants[name] = static
        elif isinstance(static, type):
            if exposure.class_path(static) is not None:
                classes.append(_describe_call(name, static, is_portable, is_of_class=True))
        elif _is_function(static) or isinstance(static, staticmethod | classmethod):
            if _is_reachable(thing, static, exposure):
                methods.append(_describe_member(name, holder, static, is_portable))
        elif not is_object and _is_constant(name, static) and len(constants) < _MOST_CONSTANTS:
            # An object may have another value of its own.
            constants[name] = static
        elif not isinstance(thing, type) or not _is_of_objects(static):
            properties.append(_describe_property(thing, name, static))
    return ObjectClassSchema(
        kind=kind,
        name=thing.__name__.rpartition(".")[2] if isinstance(thing, ModuleType) else holder.__name__,
        classes=_class_texts(thing),
        doc=_doc(holder),
        call=_call_of(thing, exposure, is_portable),
        methods=methods,
        properties=properties,
        constants=constants,
        class_members=classes,
        special=sorted(
            name
            for name in OBJECT_SPECIALS
            # Python's own way to show an object says less than the proxy's.
            if not _is_shown_by_python(type(thing), name) and exposure.has_special(thing, name)
        ),
        is_open=is_object,
    )


def _is_shown_by_python(cls: type, name: str) -> bool:
    """Return whether a special method is that of a class of Python's own by which it shows an object."""
    definer = next((part for part in cls.__mro__ if name in vars(part)), object)
    return name in ("__repr__", "__str__") and definer.__module__ == "builtins"


def _kind(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return "module"
    if isinstance(thing, type):
        return "class"
    if is_bare(thing):
        return "function"
    kinds: tuple[tuple[type, str], ...] = (
        (Generator, "generator"),
        (AsyncGenerator, "async_generator"),
        (Iterator, "iterator"),
        (AsyncIterator, "async_iterator"),
    )
    return next((kind for cls, kind in kinds if issubclass(type(thing), cls)), "object")


def _describe_function(function: Any, is_portable: IsPortable) -> ObjectClassSchema:
    name = getattr(function, "__name__", None) or type(function).__name__
    call = _describe_call(name, function, is_portable)
    return ObjectClassSchema("function", name, [], call.doc, call, [], [], {}, [], [], is_open=False)


def _call_of(thing: Any, exposure: Exposure, is_portable: IsPortable) -> ObjectMethodSchema | None:
    if isinstance(thing, type):
        return _describe_call(thing.__name__, thing, is_portable)
    if exposure.has_special(thing, "__call__"):
        return _describe_call("__call__", thing.__call__, is_portable)
    return None


def _describe_member(name: str, holder: Any, static: Any, is_portable: IsPortable) -> ObjectMethodSchema:
    is_of_class = isinstance(static, staticmethod | classmethod) or isinstance(holder, ModuleType)
    if is_of_class:
        return _describe_call(name, getattr(holder, name), is_portable, is_of_class=True)
    schema = _describe_call(name, static, is_portable)
    if schema.signature is None or not schema.signature.arguments or _is_bound(static):
        return schema
    # Without ``self``, whatever it is called.
    first = schema.signature.arguments[0]
    if first.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        rest = schema.signature._replace(arguments=schema.signature.arguments[1:])
        return schema._replace(signature=rest)
    return schema


def _describe_call(
    name: str, function: Any, is_portable: IsPortable, *, is_of_class: bool = False
) -> ObjectMethodSchema:
    described = describe_method(name, function, is_portable)
    plain = function.func if isinstance(function, functools.partial) else function
    is_async = inspect.iscoroutinefunction(inspect.unwrap(plain)) if callable(plain) else False
    return ObjectMethodSchema(name, _text(described.doc), described.signature, is_async, is_of_class)


def _describe_property(thing: Any, name: str, static: Any) -> ObjectPropertySchema:
    is_descriptor = inspect.isdatadescriptor(static) or isinstance(static, functools.cached_property)
    is_settable = not isinstance(thing, ModuleType | type)
    if isinstance(static, property):
        is_settable = static.fset is not None
    return ObjectPropertySchema(name, _text(inspect.getdoc(static)) if is_descriptor else None, is_settable)


def _is_function(static: Any) -> bool:
    """Return whether a class's or module's member is a function, however it was wrapped."""
    return (
        inspect.isroutine(static)
        or isinstance(static, functools.partial | functools.partialmethod)
        or is_bare(static)
    )


def _is_bound(static: Any) -> bool:
    """Return whether an object gets from its class what is kept there as it is."""
    return isinstance(static, functools.partial | MethodType) or not hasattr(type(static), "__get__")


def _is_of_objects(static: Any) -> bool:
    """Return whether what a class keeps is something that its objects have, and the class itself has not."""
    return inspect.isdatadescriptor(static) or isinstance(static, property | functools.cached_property)


def _is_reachable(thing: Any, static: Any, exposure: Exposure) -> bool:
    """Return whether a client's call of a member would be carried out."""
    if isinstance(thing, type) and not isinstance(static, staticmethod | classmethod):
        return False
    plain = static.__func__ if isinstance(static, staticmethod) else static
    if isinstance(static, staticmethod) and is_code(plain):
        try:
            check_code(plain, exposure.owns)
        except TypeError:
            return False
    return True


def _is_constant(name: str, value: Any) -> bool:
    """Return whether a member is written as a constant and travels as a value that nobody can change."""
    if not name.isupper():
        return False
    return type(value) in _SIMPLE or (isinstance(value, enum.Enum | tuple) and is_value(value))


def _class_texts(thing: Any) -> list[str]:
    if isinstance(thing, ModuleType):
        return [thing.__name__]
    cls = thing if isinstance(thing, type) else type(thing)
    return [class_text(part) for part in cls.__mro__ if part is not object]


def _doc(holder: Any) -> str | None:
    # A class that has none of its own does not have that of the one above.
    return _text(vars(holder).get("__doc__"))


def _text(doc: object) -> str | None:
    return "".join((doc,)) if isinstance(doc, str) else None
