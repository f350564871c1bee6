"""What remote instruments, modules and channels have in common, and the modules themselves."""

from __future__ import annotations

from typing import Any, Final

from qcodes.instrument import Instrument, InstrumentModule
from qcodes.instrument.instrument_base import InstrumentBase

from instrumentserver.schema import ModuleSchema

from .attribute import NestedAttributes, ServerAttribute, bound, get_attribute, set_attribute
from .claim import claimed_class
from .link import Link
from .metadatable import RemoteMetadatable
from .method import RemoteMethod

__all__ = ["RemoteModule", "RemoteNode"]

_OF_QCODES: Final = frozenset(dir(Instrument)) | frozenset(dir(InstrumentModule))
_LOCAL: Final = frozenset(vars(InstrumentBase("base")))
"""Attributes of QCoDeS that belong to this process's object."""


class RemoteNode(NestedAttributes, RemoteMetadatable, InstrumentBase):
    """A part of an instrument's tree with parameters below it.

    Names are looked up in this order: parameters, functions and submodules; methods of the driver; what
    QCoDeS's own classes have; plain attributes of the object on the server.
    """

    _schema: ModuleSchema
    _methods: dict[str, RemoteMethod]
    _ever_there: frozenset[str] = frozenset()

    label = ServerAttribute()  # type: ignore[assignment]

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override,misc]
        return claimed_class(self._schema.classes, type(self))

    def _show(self, schema: ModuleSchema) -> None:
        """Make methods and short cuts to parameters what the schema says."""
        own = vars(self)
        for name in own.get("_shortcuts", ()):
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
        own.update({name: part for name, part in shortcuts.items() if name not in _LOCAL})
        self._shortcuts = list(shortcuts)
        self.__doc__ = schema.doc

    # By name

    def get(self, param_name: str) -> Any:
        """Return the value of a parameter, read by the server."""
        return self.parameters[param_name].get()

    def set(self, param_name: str, value: Any) -> None:
        """Set a parameter."""
        self.parameters[param_name].set(value)

    def call(self, func_name: str, *args: Any) -> Any:
        """Call a QCoDeS function."""
        return self.functions[func_name].call(*args)

    def __getitem__(self, key: str) -> Any:
        """Return the parameter or function of that name."""
        try:
            return self.parameters[key]
        except KeyError:
            return self.functions[key]

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

    def add_parameter(self, name: str, parameter_class: Any = None, **kwargs: Any) -> Any:
        """Add a parameter on the server and return its proxy.

        Commands must be strings, for code does not travel.

        Raises:
            NotPortable: An argument cannot travel.
            KeyError: There is a parameter of that name already.
        """
        if parameter_class is not None:
            kwargs["parameter_class"] = parameter_class
        self.callattr("add_parameter", name, **kwargs)
        return self.parameters[name]

    def add_function(self, name: str, **kwargs: Any) -> None:
        """Add a QCoDeS function on the server; its command must be a string."""
        self.callattr("add_function", name, **kwargs)

    def remove_parameter(self, name: str) -> None:
        """Remove a parameter from the server's instrument."""
        self.callattr("remove_parameter", name)

    def invalidate_cache(self) -> None:
        """Have every parameter read the hardware the next time."""
        self.callattr("invalidate_cache")

    def validate_status(self, verbose: bool = False) -> None:
        """Have the server check the values of all parameters."""
        self.callattr("validate_status", verbose)

    # Attributes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not self._is_built:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        for named in (self.parameters, self.functions, self.submodules, self._methods):
            if name in named:
                return named[name]  # type: ignore[index]
        return bound(self, get_attribute(self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._is_built or name.startswith("_") or name in _LOCAL or name == "label":
            super().__setattr__(name, value)
        elif name in self.parameters and name not in self._schema.attributes:
            raise AttributeError(
                f"{self._path}.{name} is a parameter and cannot be replaced; set its value with {name}({value!r})"
            )
        elif self._server_has(name):
            set_attribute(self, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self) and name not in vars(self).get("_shortcuts", ()):
            super().__delattr__(name)
        else:
            self.delattr(name)

    def _server_has(self, name: str) -> bool:
        """Return whether the object on the server has an attribute, as it is now, or had it once."""
        if name in self._ever_there:
            return True
        try:
            get_attribute(self, name)
        except AttributeError:
            return False
        except Exception:  # noqa: BLE001  (a property that fails, or a value that cannot travel, is there)
            return True
        return True

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(type(self)), *self._schema.attributes, *self._methods})

    def __repr__(self) -> str:
        shown = self._schema.classes[0].rpartition(":")[2].rpartition(".")[2]
        return f"<{shown}: {self.name} on {self._link.session.address}>"


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
