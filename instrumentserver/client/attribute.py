"""Attributes of proxies that are kept by the server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Protocol

from instrumentserver.schema import (
    SPECIAL_METHODS,
    ClassSchema,
    LoggerSchema,
    MethodSchema,
    ObjectSchema,
    bind_sizes,
)
from instrumentserver.wire.classes import find_class_text
from instrumentserver.wire.messages import Op
from instrumentserver.wire.shipping import ship_code

from .claim import claimed_class
from .link import Link
from .logger import RemoteLogger
from .method import RemoteMethod

__all__ = [
    "NestedAttributes",
    "Proxy",
    "RemoteAttribute",
    "ServerAttribute",
    "ServerCode",
    "ServerValidators",
    "get_attribute",
    "is_forwarded",
    "place_of",
    "server_has",
    "set_attribute",
]

_PROBED: Final = ("__", "_repr_", "_ipython_", "_built_", "_jupyter_")
"""What Python, IPython and our own classes look for; no RPC answers that."""
_OURS: Final = frozenset(("_link", "_path", "_schema", "_methods", "_modules", "_remote_cache", "_is_built"))


class Proxy(Protocol):
    """What every proxy of a part of an instrument has.

    Attributes:
        _link: The instrument's link.
        _path: Path of the part.
        _is_built: False while QCoDeS's constructors run, which set attributes of their own.
    """

    _link: Link
    _path: str
    _is_built: bool


class ServerAttribute:
    """A public attribute of QCoDeS that a proxy reads and sets on the server, so that every client sees the same.

    While the proxy is being built, what QCoDeS's constructors set is kept aside.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._aside = f"_built_{name}"

    def __get__(self, proxy: Any, owner: type) -> Any:
        if proxy is None:
            return self
        if proxy._is_built:
            return get_attribute(proxy, self._name)
        try:
            return vars(proxy)[self._aside]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, proxy: Any, value: Any) -> None:
        if proxy._is_built:
            set_attribute(proxy, self._name, value)
        else:
            vars(proxy)[self._aside] = value

    def __delete__(self, proxy: Any) -> None:
        proxy.delattr(self._name)


class ServerValidators(ServerAttribute):
    """Validators that the server keeps; they know whom to ask for the lengths of arrays."""

    def __get__(self, proxy: Any, owner: type) -> Any:
        found = super().__get__(proxy, owner)
        if proxy is not None and proxy._is_built:
            ask = functools.partial(get_attribute, proxy)
            if isinstance(found, tuple):
                for number, validator in enumerate(found):
                    bind_sizes(validator, ask, f"validators[{number}]")
            else:
                bind_sizes(found, ask, self._name)
        return found


class ServerCode(ServerAttribute):
    """A function that the server keeps, such as a parser; one that is set is shipped to it."""

    def __set__(self, proxy: Any, value: Any) -> None:
        super().__set__(proxy, ship_code(value) if proxy._is_built else value)


class NestedAttributes:
    """Attributes by text, also nested ones, as the QCoDeS server of 2016 had them."""

    def getattr(self: Any, name: str, *default: Any) -> Any:
        """Return an attribute of the object on the server, such as ``ch1.unit`` or ``table["a"][1]``.

        Args:
            name: The attribute.
            default: Returned if it is not there.

        Raises:
            AttributeError: An attribute is not there, and there is no default.
            LookupError: An index is not there, and there is no default.
            UsageError: The name is malformed.
        """
        try:
            return get_attribute(self, name)
        except (AttributeError, LookupError):
            if not default:
                raise
            return default[0]

    def setattr(self: Any, name: str, value: Any) -> None:
        """Set an attribute of the object on the server, also a nested one."""
        set_attribute(self, name, value)
        self._link.refresh()

    def delattr(self: Any, name: str) -> None:
        """Delete an attribute of the object on the server, also a nested one."""
        self._link.request(Op.DELETE_ATTRIBUTE, self._path, name)
        self._link.refresh()

    def callattr(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the object on the server, also a nested one, and return what it returns."""
        return self._link.call(self._path, name, args, kwargs)


def get_attribute(proxy: Proxy, name: str) -> Any:
    """Return an attribute of the thing on the server.

    A method arrives as a `RemoteMethod`, what cannot travel as a `RemoteAttribute`.
    """
    value = proxy._link.request(Op.GET_ATTRIBUTE, proxy._path, name)
    if isinstance(value, MethodSchema):
        return RemoteMethod(proxy._link, proxy._path, value, name)
    if isinstance(value, ClassSchema):
        found = find_class_text(value.name)
        return _stand_in(proxy, name, value.otherwise) if found is None else found
    if isinstance(value, LoggerSchema):
        return RemoteLogger(value.name, proxy)
    if isinstance(value, ObjectSchema):
        return _stand_in(proxy, name, value)
    return value


def server_has(proxy: Proxy, name: str) -> bool:
    """Return whether the thing on the server has an attribute now."""
    try:
        get_attribute(proxy, name)
    except AttributeError:
        return False
    except Exception:  # noqa: BLE001  (a property that fails is there)
        return True
    return True


def set_attribute(proxy: Proxy, name: str, value: Any) -> None:
    """Set an attribute of the thing on the server."""
    proxy._link.request(Op.SET_ATTRIBUTE, proxy._path, name, value)


def is_forwarded(name: str) -> bool:
    """Return whether an attribute that a proxy does not have itself is looked for on the server."""
    return not name.startswith(_PROBED) and name not in _OURS


class RemoteAttribute:
    """Stands for an attribute that cannot travel, such as a VISA handle: what is below it is used on the server.

    Args:
        proxy: The proxy whose attribute it is.
        name: The attribute, possibly a nested one.
        schema: What it looks like.
    """

    def __init__(self, proxy: Proxy, name: str, schema: ObjectSchema) -> None:
        object.__setattr__(self, "_proxy", proxy)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_schema", schema)
        object.__setattr__(self, "__doc__", schema.doc)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        return claimed_class(self._schema.classes, RemoteAttribute)

    def __getattr__(self, name: str) -> Any:
        if not is_forwarded(name):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return get_attribute(self._proxy, f"{self._name}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        set_attribute(self._proxy, f"{self._name}.{name}", value)

    def __delattr__(self, name: str) -> None:
        self._proxy._link.request(Op.DELETE_ATTRIBUTE, self._proxy._path, f"{self._name}.{name}")

    def __bool__(self) -> bool:
        return bool(self._schema.is_true)

    def __eq__(self, other: object) -> bool:
        return issubclass(type(other), RemoteAttribute) and place_of(self) == place_of(other)

    def __hash__(self) -> int:
        return hash(tuple(place_of(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return get_attribute, (self._proxy, self._name)

    def __repr__(self) -> str:
        return str(self._schema.shown)


def _stand_in(proxy: Proxy, name: str, schema: ObjectSchema) -> RemoteAttribute:
    return _attribute_class(tuple(schema.special))(proxy, name, schema)


@functools.cache
def _attribute_class(special: tuple[str, ...]) -> type[RemoteAttribute]:
    """Return a class of stand-ins with the special methods that a class on the server defines."""
    methods = {
        method: _forward(method) for method in special if method in SPECIAL_METHODS and method != "__bool__"
    }
    if not methods:
        return RemoteAttribute
    return type("RemoteAttribute", (RemoteAttribute,), {"__module__": __name__, **methods})


def _forward(method: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        link, path = self._proxy._link, self._proxy._path
        return link.call(path, f"{self._name}.{method}", args, kwargs)

    call.__name__ = method
    return call


def place_of(attribute: object) -> list[str]:
    """Return the address of the thing whose attribute a stand-in stands for, and the attribute's name."""
    proxy: Proxy = vars(attribute)["_proxy"]
    return [str(proxy._link.address(proxy._path)), vars(attribute)["_name"]]
