"""What remote instruments, modules and channels have in common, and the modules themselves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from qcodes.instrument import Instrument, InstrumentModule
from qcodes.instrument.instrument_base import InstrumentBase
from qcodes.metadatable import Metadatable

from instrumentserver.schema import ModuleSchema

from .additions import Additions, is_local_part
from .attribute import (
    NestedAttributes,
    ServerAttribute,
    get_attribute,
    is_forwarded,
    server_has,
    set_attribute,
)
from .claim import claimed_class
from .link import Link
from .logger import RemoteLogger
from .method import RemoteMethod

__all__ = ["RemoteModule", "RemoteNode"]

_OF_QCODES: Final = frozenset(dir(Instrument)) | frozenset(dir(InstrumentModule))
_LOCAL: Final = frozenset(vars(InstrumentBase("base"))) - {"log", "metadata"}
"""Attributes of QCoDeS that belong to this process's object."""
_AS_QCODES: Final = frozenset(("label", "log", "metadata"))
"""Attributes that our classes pass on to the server themselves."""


class RemoteNode(NestedAttributes, Additions):
    """A part of an instrument's tree with parameters below it.

    Names are looked up in this order: parameters, functions and submodules; methods of the driver; what
    QCoDeS's own classes have; plain attributes of the object on the server.
    """

    _schema: ModuleSchema
    _methods: Mapping[str, RemoteMethod] = MappingProxyType({})
    _shortcuts: tuple[str, ...] = ()
    _shadowed: frozenset[str] = frozenset()
    _ever_there: frozenset[str] = frozenset()

    label = ServerAttribute()  # type: ignore[assignment]

    @property
    def log(self) -> RemoteLogger:  # type: ignore[override]
        """Logs in the instrument's name, in this process."""
        return self._log

    @log.setter
    def log(self, log: object) -> None:
        """Replace the logger that QCoDeS's constructor makes by one that knows the driver's class."""
        self._log = RemoteLogger(self._schema.logger_name, self)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override,misc]
        return claimed_class(self._schema.classes, type(self))

    def _show(self, schema: ModuleSchema) -> None:
        """Make methods and short cuts to parameters what the schema says."""
        own = vars(self)
        for name in own.get("_shortcuts", ()):
            if name not in self._shadowed:
                own.pop(name, None)
        self._schema = schema
        self._ever_there = self._ever_there.union(schema.attributes)
        self._methods = {
            method.name: RemoteMethod(self._link, self._path, method) for method in schema.methods
        }
        shortcuts: dict[str, Any] = {
            name: method
            for name, method in self._methods.items()
            if name not in _RESERVED and (method._schema.is_driver or name not in _OF_QCODES)
        }
        for named in (self.submodules, self.functions, self.parameters):
            shortcuts.update({name: part for name, part in named.items() if name not in _OF_QCODES})
        # In the instance's own dict they are found at once, before methods of ours that have the same name.
        hidden = _LOCAL | self._shadowed
        own.update({name: part for name, part in shortcuts.items() if name not in hidden})
        self._shortcuts = tuple(shortcuts)
        self.__doc__ = schema.doc

    def _add_shortcut(self, name: str, part: Any) -> None:
        """Have an attribute lead to a part of the instrument at once."""
        if name not in _LOCAL and name not in _OF_QCODES:
            vars(self)[name] = part
            self._shortcuts += (name,)

    # As QCoDeS has it

    def ask(self, cmd: str) -> str:
        """Send a command string to the hardware and return the response."""
        return str(self.callattr("ask", cmd))

    def ask_raw(self, cmd: str) -> str:
        """Send a command string to the hardware at the lowest level and return the response."""
        return str(self.callattr("ask_raw", cmd))

    def write(self, cmd: str) -> None:
        """Send a command string to the hardware."""
        self.callattr("write", cmd)

    def write_raw(self, cmd: str) -> None:
        """Send a command string to the hardware at the lowest level."""
        self.callattr("write_raw", cmd)

    def invalidate_cache(self) -> None:
        """Have every parameter read the hardware the next time."""
        self.callattr("invalidate_cache")

    def validate_status(self, verbose: bool = False) -> None:
        """Have the server check the values of all parameters."""
        self.callattr("validate_status", verbose)

    # Attributes

    def __getattr__(self, name: str) -> Any:
        if not self._is_built or not is_forwarded(name):
            # QCoDeS's own word for what is not there.
            return super().__getattr__(name)
        for named in (self.parameters, self.functions, self.submodules, self._methods):
            if name in named:
                return named[name]  # type: ignore[index]
        return get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_built and isinstance(value, Metadatable) and self._has_as(name, value):
            # As drivers write it, self.x = self.add_parameter("x"): it is there already.
            return
        if not self._is_built or name in _LOCAL or name in _AS_QCODES or is_local_part(value):
            super().__setattr__(name, value)
        elif name in self.parameters and name not in self._schema.attributes:
            raise AttributeError(
                f"{self._path}.{name} is a parameter and cannot be replaced; set its value with {name}({value!r})"
            )
        elif callable(value) and (name in self._methods or callable(getattr(type(self), name, None))):
            # Somebody puts another function in its place, which calls from here will find.
            super().__setattr__(name, value)
            self._shadowed = self._shadowed | {name}
        elif name in self._ever_there or self._is_kept_there(name, value):
            set_attribute(self, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._shadowed:
            self._shadowed = self._shadowed - {name}
            vars(self).pop(name, None)
            self._show(self._schema)
        elif name in vars(self) and name not in vars(self).get("_shortcuts", ()):
            super().__delattr__(name)
        else:
            self.delattr(name)

    def _has_as(self, name: str, part: object) -> bool:
        """Return whether a part of QCoDeS's has this name here."""
        named = (self.parameters, self.functions, self.submodules)
        return any(parts.get(name) is part for parts in named)

    def _is_kept_there(self, name: str, value: object) -> bool:
        """Return whether an attribute that is to be set belongs to the object on the server."""
        if not is_forwarded(name):
            return False
        if isinstance(value, Metadatable) and vars(value).get("_link") is self._link:
            # Another name for a part of the same instrument, as the aliases of a station file are.
            return True
        if name.startswith("_") and (name in vars(self) or hasattr(type(self), name)):
            return False
        return server_has(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(type(self)), *self._schema.attributes, *self._methods})

    def __repr__(self) -> str:
        if not self._is_built:
            return f"<{self._schema.class_name}: {self.name}>"
        if "__repr__" in self._schema.special:
            return str(self.callattr("__repr__"))
        return self._qcodes_repr()

    def __str__(self) -> str:
        return (
            str(self.callattr("__str__"))
            if self._is_built and "__str__" in self._schema.special
            else repr(self)
        )

    def _qcodes_repr(self) -> str:
        return f"<{self._schema.class_name}: {self.name}>"


_RESERVED: Final = frozenset(("close", "snapshot", "snapshot_base", "load_metadata"))
"""Names that a driver's override does not take over here: ours do more, and lead to it on the server."""


class RemoteModule(RemoteNode, InstrumentModule):
    """A module or channel of a remote instrument.

    Args:
        link: The instrument's link.
        schema: The module's schema.
        parent: The proxy above.
    """

    def __init__(self, link: Link, schema: ModuleSchema, parent: RemoteNode) -> None:
        self._link = link
        self._path = schema.path
        self._schema = schema
        super().__init__(parent, schema.name, label=schema.label)
        self._is_built = True

    def _qcodes_repr(self) -> str:
        above = self._parent
        name = above._schema.class_name if isinstance(above, RemoteNode) else type(above).__name__
        return f"<{self._schema.class_name}: {self.name} of {name}: {above.name}>"
