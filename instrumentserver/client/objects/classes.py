"""Classes of proxies: one for each class, module and function that a server describes, with real methods."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import InstrumentServerError
from instrumentserver.schema import (
    ObjectClassSchema,
    ObjectMethodSchema,
    ObjectPropertySchema,
    SignatureSchema,
)
from instrumentserver.wire.classes import find_class_text

from ..claim import claimed_class
from ..method import signature_of
from .calls import call_later, special_method, step_methods
from .proxy import RemoteObject

__all__ = ["proxy_class"]

_OURS: Final = frozenset(("uri",))
"""Public names of proxies themselves; a member of the object that has such a name is not reachable."""
_failed = threading.local()


def proxy_class(schema: ObjectClassSchema) -> type[RemoteObject]:
    """Return a class of proxies for what a schema describes."""
    is_class = schema.kind == "class"
    module = schema.classes[0].partition(":")[0] if schema.classes else __name__
    namespace: dict[str, Any] = {
        "__doc__": schema.doc,
        "__module__": module,
        "__qualname__": schema.name,
        "_shape": schema,
        "_known": frozenset(_names(schema)) - _OURS,
    }
    namespace.update(schema.constants)
    namespace.update({each.name: _property(each) for each in schema.properties})
    namespace.update({each.name: _ClassMember(each) for each in schema.class_members})
    namespace.update({each.name: _method(schema.name, each) for each in schema.methods})
    namespace = {name: member for name, member in namespace.items() if name not in _OURS}
    namespace.update({name: special_method(schema.name, name) for name in schema.special})
    namespace.update(step_methods(schema.kind))
    if schema.call is not None:
        namespace["__call__"] = _method(schema.name, schema.call, "")
        if schema.kind != "object":
            # As functions and classes have them.
            namespace["__name__"] = schema.name
        if schema.call.signature is not None:
            namespace["__signature__"] = signature_of(schema.call.signature)
    return type(schema.name, (_ClassProxy if is_class else _Shaped,), namespace)


def _names(schema: ObjectClassSchema) -> list[str]:
    members = (schema.methods, schema.properties, schema.class_members)
    return [*schema.constants, *(each.name for part in members for each in part)]


class _Shaped(RemoteObject):
    """A proxy whose members are known by a schema; those that only the object has are asked for."""

    _shape: ObjectClassSchema
    _known: frozenset[str]

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override,misc]
        if self._shape.kind != "object":
            return type(self)
        return claimed_class(self._shape.classes, type(self))

    def __getattr__(self, name: str) -> Any:
        if name in self._known:
            # A property of the object raised it, after which Python looks here.
            error = getattr(_failed, "error", None)
            _failed.error = None
            raise error or AttributeError(f"{self._shape.name}.{name}")
        if name.startswith("_") or not self._shape.is_open:
            raise AttributeError(f"{self!r} has no public attribute {name!r}", name=name, obj=self)
        return self._get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OURS:
            raise AttributeError(f"{name} of {self!r} is where the object is, and cannot be set")
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._set(name, value)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_") or name in _OURS:
            object.__delattr__(self, name)
        else:
            self._delete(name)

    def __dir__(self) -> list[str]:
        own = []
        if self._shape.is_open:
            try:
                own = self._call("__dir__", (), {})
            except (InstrumentServerError, OSError):
                pass  # What the class has is known all the same.
        known = (name for name in object.__dir__(self) if name.startswith("__") or name[0] != "_")
        return sorted({*known, *own})

    def __repr__(self) -> str:
        return f"<{self._shape.name} at {self.uri}>"


class _ClassProxy(_Shaped):
    """Stands for a class on a server: calling it makes an object there."""

    def __instancecheck__(self, instance: object) -> bool:
        shape = getattr(type(instance), "_shape", None)
        if isinstance(shape, ObjectClassSchema):
            return shape.kind != "class" and self._shape.classes[0] in shape.classes
        cls = find_class_text(self._shape.classes[0])
        return cls is not None and isinstance(instance, cls)

    def __subclasscheck__(self, subclass: object) -> bool:
        shape = getattr(type(subclass), "_shape", None)
        if isinstance(shape, ObjectClassSchema):
            return shape.kind == "class" and self._shape.classes[0] in shape.classes
        cls = find_class_text(self._shape.classes[0])
        return cls is not None and isinstance(subclass, type) and issubclass(subclass, cls)

    def __repr__(self) -> str:
        return f"<class {self._shape.name} at {self.uri}>"


class _ClassMember:
    """A class of a module, which has a proxy of its own."""

    def __init__(self, schema: ObjectMethodSchema) -> None:
        self._name = schema.name
        self.__doc__ = schema.doc

    def __get__(self, proxy: Any, owner: type) -> Any:
        if proxy is None:
            return self
        kept = vars(proxy)
        name = f"_class_{self._name}"
        if name not in kept:
            kept[name] = proxy._get(self._name)
        return kept[name]


def _property(schema: ObjectPropertySchema) -> property:
    name = schema.name

    def get(self: Any) -> Any:
        try:
            return self._get(name)
        except AttributeError as error:
            _failed.error = error
            raise

    def put(self: Any, value: Any) -> None:
        self._set(name, value)

    return property(get, put if schema.is_settable else None, doc=schema.doc)


def _method(owner: str, schema: ObjectMethodSchema, name: str | None = None) -> Callable[..., Any]:
    """Return a function that calls a method of the object; ``name`` is how it is reached, if not by its name."""
    called = schema.name if name is None else name

    async def call_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await call_later(self, called, args, kwargs)

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(called, args, kwargs)

    method: Callable[..., Any] = call_async if schema.is_async else call
    shown = schema.name if name is None else "__call__"
    method.__name__, method.__qualname__ = shown, f"{owner}.{shown}"
    method.__doc__ = schema.doc
    if schema.signature is not None:
        method.__signature__ = _with_self(schema.signature)  # type: ignore[attr-defined]
    return method


def _with_self(described: SignatureSchema) -> inspect.Signature:
    signature = signature_of(described)
    parameters = list(signature.parameters.values())
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    if "self" in signature.parameters:
        own = own.replace(name="self_")
    elif not any(each.kind is each.POSITIONAL_ONLY for each in parameters):
        own = own.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return signature.replace(parameters=[own, *parameters])
