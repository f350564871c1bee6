"""Attributes of proxies that are kept by the server."""

from __future__ import annotations

from typing import Any, Protocol

from instrumentserver.schema import MethodSchema
from instrumentserver.wire.messages import Op

from .link import Link
from .method import RemoteMethod

__all__ = [
    "NestedAttributes",
    "Proxy",
    "ServerAttribute",
    "bound",
    "get_attribute",
    "set_attribute",
]


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
            return bound(self, get_attribute(self, name))
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
        return self._link.request(Op.CALL, self._path, name, list(args), kwargs)


def bound(proxy: Proxy, value: Any) -> Any:
    """Return an attribute's value as a proxy has it: a method as one that can be called."""
    return RemoteMethod(proxy._link, proxy._path, value) if isinstance(value, MethodSchema) else value


def get_attribute(proxy: Proxy, name: str) -> Any:
    """Return an attribute of the thing on the server; a method arrives as a `MethodSchema`."""
    return proxy._link.request(Op.GET_ATTRIBUTE, proxy._path, name)


def set_attribute(proxy: Proxy, name: str, value: Any) -> None:
    """Set an attribute of the thing on the server."""
    proxy._link.request(Op.SET_ATTRIBUTE, proxy._path, name, value)
