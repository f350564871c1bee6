"""Remote parameters of the special kinds that QCoDeS has, and which kind a parameter is of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from qcodes.instrument import Instrument
from qcodes.parameters import (
    ArrayParameter,
    DelegateParameter,
    InstrumentRefParameter,
    MultiParameter,
    Parameter,
    ParameterBase,
    ParameterWithSetpoints,
)
from qcodes.validators import Arrays

from instrumentserver.errors import NotPortable
from instrumentserver.schema import ParameterSchema
from instrumentserver.wire.classes import find_class_text

from .attribute import ServerAttribute, get_attribute
from .link import Link
from .parameter import AnyRemoteParameter, RemoteParameter

__all__ = [
    "RemoteArrayParameter",
    "RemoteBaseParameter",
    "RemoteDelegateParameter",
    "RemoteInstrumentRefParameter",
    "RemoteMultiParameter",
    "RemoteParameterWithSetpoints",
    "build_parameter",
]


class RemoteBaseParameter(AnyRemoteParameter):
    """A parameter of a class that is a `ParameterBase` only: without label, unit and sweeps."""

    def __init__(self, link: Link, path: str, schema: ParameterSchema, instrument: Any) -> None:
        super().__init__(link, path, schema, instrument)


class RemoteArrayParameter(AnyRemoteParameter, ArrayParameter):
    """A parameter with an array of values on a fixed grid of setpoints."""

    def __init__(self, link: Link, path: str, schema: ParameterSchema, instrument: Any) -> None:
        super().__init__(
            link, path, schema, instrument, label=schema.label, unit=schema.unit, **schema.extras
        )

    shape = ServerAttribute()
    setpoints = ServerAttribute()
    setpoint_names = ServerAttribute()
    setpoint_labels = ServerAttribute()
    setpoint_units = ServerAttribute()


class RemoteMultiParameter(AnyRemoteParameter, MultiParameter):
    """A parameter with several values of different kinds."""

    def __init__(self, link: Link, path: str, schema: ParameterSchema, instrument: Any) -> None:
        super().__init__(link, path, schema, instrument, **schema.extras)

    names = ServerAttribute()
    shapes = ServerAttribute()
    labels = ServerAttribute()
    units = ServerAttribute()
    setpoints = ServerAttribute()
    setpoint_names = ServerAttribute()
    setpoint_labels = ServerAttribute()
    setpoint_units = ServerAttribute()


class _Setpoints(ServerAttribute):
    """Setpoints that the server keeps; those with a parameter of this process are kept here, where they are used."""

    def __get__(self, proxy: Any, owner: type) -> Any:
        kept = None if proxy is None else vars(proxy).get("_local_setpoints")
        return super().__get__(proxy, owner) if kept is None else kept

    def __set__(self, proxy: Any, value: Any) -> None:
        try:
            super().__set__(proxy, value)
            vars(proxy)["_local_setpoints"] = None
        except NotPortable:
            vars(proxy)["_local_setpoints"] = tuple(value)


class RemoteParameterWithSetpoints(AnyRemoteParameter, ParameterWithSetpoints):
    """A parameter with an array of values, whose setpoints are other parameters of the server."""

    def __init__(self, link: Link, path: str, schema: ParameterSchema, instrument: Any) -> None:
        super().__init__(
            link,
            path,
            schema,
            instrument,
            label=schema.label,
            unit=schema.unit,
            get_cmd=False,
            set_cmd=False,
            # QCoDeS's constructor asks for one; what counts is the server's.
            vals=Arrays(shape=(1,)),
        )

    setpoints = _Setpoints()  # type: ignore[assignment]


class RemoteDelegateParameter(RemoteParameter):
    """A parameter that stands for another one; whether it can be read and set follows that one."""

    _implements_get_raw = True  # type: ignore[assignment]
    _implements_set_raw = True  # type: ignore[assignment]

    @property
    def gettable(self) -> bool:
        """Whether it can be read now."""
        return bool(get_attribute(self, "gettable"))

    @property
    def settable(self) -> bool:
        """Whether it can be set now."""
        return self._settable and bool(get_attribute(self, "settable"))


class RemoteInstrumentRefParameter(RemoteParameter):
    """A parameter whose value is the name of another instrument."""

    def get_instr(self) -> Any:
        """Return the instrument: one that this process knows, else one that the server finds.

        Raises:
            KeyError: There is none of that name.
            TypeError: It is of another class than the parameter asks for.
        """
        name = self.get()
        if name in Instrument._all_instruments:
            wanted = getattr(self, "instrument_class", None)
            return Instrument.find_instrument(name, wanted if isinstance(wanted, type) else None)
        return self.callattr("get_instr")


_KINDS: Final[tuple[tuple[type[ParameterBase], Callable[..., AnyRemoteParameter]], ...]] = (
    (ParameterWithSetpoints, RemoteParameterWithSetpoints),
    (ArrayParameter, RemoteArrayParameter),
    (MultiParameter, RemoteMultiParameter),
    (InstrumentRefParameter, RemoteInstrumentRefParameter),
    (DelegateParameter, RemoteDelegateParameter),
)


def build_parameter(link: Link, path: str, schema: ParameterSchema, instrument: Any) -> AnyRemoteParameter:
    """Return a proxy of the kind that fits the class of the parameter."""
    classes = [cls for cls in map(find_class_text, schema.classes) if cls is not None]
    for kind, build in _KINDS:
        if kind in classes and (schema.gettable or schema.settable or kind is DelegateParameter):
            return build(link, path, schema, instrument)
    kind = RemoteParameter if Parameter in classes or not classes else RemoteBaseParameter
    return kind(link, path, schema, instrument)
