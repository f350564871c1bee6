"""Values of PVAccess: normative types for parameters, and what functions take and return."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from p4p import Type, Value
from p4p.nt import NTEnum, NTScalar

from instrumentserver.schema import ChannelSchema, ChannelType

from .reading import COMM, READ, UDF, Reading

__all__ = ["arguments_of", "changed_fields", "first_value", "result_value", "type_for", "written"]

_CODES: Final = {
    ChannelType.STRING: "s",
    ChannelType.INT: "h",
    ChannelType.FLOAT: "f",
    ChannelType.CHAR: "B",
    ChannelType.LONG: "l",
    ChannelType.DOUBLE: "d",
}
_STATUSES: Final = {READ: 2, COMM: 1, UDF: 6}
"""Alarm statuses of Channel Access, and those of PVAccess: driver, device, undefined."""
_RESULTS: Final = {"b": "?", "i": "l", "u": "L", "f": "d"}


def type_for(schema: ChannelSchema) -> Type:
    """Return the normative type of a channel: NTEnum, NTScalar or NTScalarArray, with display and control."""
    if schema.type == ChannelType.ENUM:
        return NTEnum.buildType(display=True)
    code = _CODES[ChannelType(schema.type)]
    if schema.is_array:
        code = f"a{code}"
    return NTScalar.buildType(code, display=True, control=True, form=True)


def first_value(kind: Type, schema: ChannelSchema, reading: Reading) -> Value:
    """Return a complete value: the reading, and what is known of the parameter.

    Args:
        kind: What `type_for` returned.
        schema: The channel.
        reading: Its reading.
    """
    fields = changed_fields(schema, reading)
    description = schema.label
    if schema.type == ChannelType.ENUM:
        fields["value"]["choices"] = schema.choices
        fields["display"] = {"description": description}
    elif schema.type == ChannelType.STRING:
        fields["display"] = {"description": description, "units": schema.unit}
    else:
        fields["display"] = {"description": description, "units": schema.unit, "precision": schema.precision}
        if schema.lower is not None and schema.upper is not None:
            lower, upper = schema.lower, schema.upper
            if schema.type not in (ChannelType.DOUBLE, ChannelType.FLOAT):
                lower, upper = int(lower), int(upper)
            fields["display"].update(limitLow=lower, limitHigh=upper)
            if schema.settable:
                fields["control"] = {"limitLow": lower, "limitHigh": upper}
    return Value(kind, fields)


def changed_fields(schema: ChannelSchema, reading: Reading) -> dict[str, Any]:
    """Return what a reading changes: value, alarm and time."""
    seconds, fraction = divmod(reading.timestamp, 1.0)
    alarm = reading.alarm
    return {
        "value": _value(schema, reading.data),
        "alarm": {
            "severity": alarm.severity,
            "status": _STATUSES.get(alarm.status, alarm.status),
            "message": alarm.message,
        },
        "timeStamp": {"secondsPastEpoch": int(seconds), "nanoseconds": int(fraction * 1e9)},
    }


def _value(schema: ChannelSchema, data: Any) -> Any:
    if schema.type == ChannelType.STRING:
        texts = [raw.decode("utf-8", "replace") for raw in data]
        return texts if schema.is_array else texts[0]
    if schema.type == ChannelType.ENUM:
        return {"index": int(data[0])}
    return data if schema.is_array else data[0].item()


def written(schema: ChannelSchema, value: Value) -> Any:
    """Return what a client wrote; see `to_value`.

    Raises:
        ValueError: It wrote no value.
    """
    if not value.changed("value"):
        raise ValueError("only the value can be written, and none was")
    return value["value.index"] if schema.type == ChannelType.ENUM else value["value"]


def arguments_of(request: Value) -> list[Any]:
    """Return the arguments of a call: of an NTURI the query, else all fields, in their order.

    Functions of QCoDeS have no names for their arguments: a client may call them what it likes, but ``arg1``, ``arg2``
    and so on are put into this order.
    """
    query = request.get("query") if request.getID().startswith("epics:nt/NTURI:") else request
    named = dict(query.items()) if isinstance(query, Value) else {}
    numbers = {name: name.removeprefix("arg") for name in named}
    if all(number.isdecimal() for number in numbers.values()):
        named = dict(sorted(named.items(), key=lambda item: int(numbers[item[0]])))
    return [dict(value.items()) if isinstance(value, Value) else value for value in named.values()]


def result_value(result: Any) -> Value:
    """Return what a function returned: an NTScalar or NTScalarArray; an empty structure for None; else as text."""
    if result is None:
        return Value(Type([]))
    code: str = "s"
    plain: Any = str(result)
    if not isinstance(result, str):
        array = np.asarray(result)
        kind = _RESULTS.get(array.dtype.kind)
        if array.dtype.kind == "U" and array.ndim:
            code, plain = "as", [str(item) for item in array.ravel()]
        elif kind is not None:
            code, plain = (f"a{kind}", array.ravel()) if array.ndim else (kind, array.item())
    return NTScalar(code).wrap(plain, timestamp=time.time())
