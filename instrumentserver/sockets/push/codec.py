"""Requests and replies of push sockets, as bytes and text."""

from __future__ import annotations

import json
from typing import Any, Final

from ..constants import PUSH_ACK, PUSH_ERROR, PUSH_EXCEP, PUSH_RET, TYPE_FROM_STRING, UNKNOWN_COMMAND
from ..failures import Refused

__all__ = [
    "COMMANDS",
    "RETURN_FORMATS",
    "copied",
    "decode_push",
    "encode_ack",
    "encode_error",
    "encode_exception",
    "encode_return",
]

COMMANDS: Final = ("json_wn#", "raw_wn#", "name", "status", "commands")
RETURN_FORMATS: Final = ("json", "raw", "string")
_CONTAINERS: Final = (dict, list)
_TYPE_NAMES: Final = {int: "int", float: "float", bool: "bool", str: "str"}


def decode_push(text: str) -> dict[str, Any]:
    """Return the data of a ``json_wn#`` or ``raw_wn#`` request.

    Raises:
        Refused: With the reply that says why.
    """
    command, sign, body = text.partition("#")
    if sign and "#" not in body:
        if command == "json_wn":
            return _decode_json(body)
        if command == "raw_wn":
            return _decode_raw(body)
    raise encode_error(UNKNOWN_COMMAND)


def copied(data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of decoded data, dicts and lists of plain values, that shares nothing with it."""
    # copy.deepcopy takes ten times as long, and ends at a third of the depth that JSON may have.
    copy = data.copy()
    inside: list[Any] = [copy]
    while inside:
        container = inside.pop()
        for key, value in container.items() if type(container) is dict else enumerate(container):
            if type(value) in _CONTAINERS:
                container[key] = fresh = value.copy()
                inside.append(fresh)
    return copy


def encode_error(text: str) -> Refused:
    """Return the refusal with this text."""
    return Refused(f"{PUSH_ERROR}#{text}")


def encode_ack(data: dict[str, Any]) -> str:
    """Return the reply that data was accepted; what Python's ``ast.literal_eval`` reads.

    Raises:
        Refused: It is nested too deeply to be written.
    """
    try:
        return f"{PUSH_ACK}#{data!r}"
    except RecursionError:
        raise encode_error("The data is nested too deeply") from None


def encode_exception(error: BaseException) -> str:
    """Return the reply that a callback has failed: the exception's text, its class if that cannot be had."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception's own __str__ may raise anything
        text = type(error).__name__
    return f"{PUSH_EXCEP}#{text}"


def encode_return(value: Any, return_format: str) -> str:
    """Return the reply with what a callback returned, or one that says why it cannot be sent.

    Args:
        value: For ``'json'`` anything that JSON has a form for. For ``'raw'`` None, a dict of values and of lists of
            them, or a list of lists of values of one type; values are int, float, bool and str.
        return_format: One of `RETURN_FORMATS`.
    """
    try:
        if return_format == "json":
            text = json.dumps(value)
        elif return_format == "raw":
            text = _raw(value)
        else:
            text = str(value)
    except Exception as error:  # noqa: BLE001 - the value's own __str__ may raise anything
        if return_format == "raw":
            return f"{PUSH_EXCEP}#Raw conversion failed with message:{error}"
        return encode_exception(error)
    return f"{PUSH_RET}#{text}"


def _decode_json(text: str) -> dict[str, Any]:
    """Return the dict that a JSON text says."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise encode_error(f"The string '{text}' could not be decoded as JSON") from None
    if not isinstance(data, dict):
        raise encode_error(f"The object '{data}' returned after decoding the JSON string is not a dict")
    return data


def _decode_raw(text: str) -> dict[str, Any]:
    """Return the dict that ``codename:type:value,...;...`` says."""
    data = {}
    for part in text.split(";"):
        words = part.split(":")
        if len(words) != 3:
            raise encode_error(
                f"The data part '{part}' did not match the expected format of 3 parts divided by ':'"
            )
        codename, type_name, values = words
        convert = TYPE_FROM_STRING.get(type_name)
        if convert is None:
            raise encode_error(
                f"The data type '{type_name}' is unknown. Only {TYPE_FROM_STRING.keys()} are allowed"
            )
        try:
            converted = [convert(value) for value in values.split(",")]
        except ValueError as error:
            raise encode_error(f"Unable to convert values to '{type_name}'. Error is: {error}") from None
        data[codename] = converted[0] if len(converted) == 1 else converted
    return data


def _raw(value: Any) -> str:
    """Return a callback's result as raw text; raises TypeError or ValueError where there is none."""
    if value is None:
        return "None"
    if isinstance(value, dict):
        return ";".join(
            f"{codename}:{_typed(values if isinstance(values, list) else [values])}"
            for codename, values in value.items()
        )
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        type_name = _type_name([item for row in value for item in row])
        return f"{type_name}:" + "&".join(",".join(str(item) for item in row) for row in value)
    raise TypeError(f"{value!r} is neither None, nor a dict, nor a list of lists")


def _typed(values: list[Any]) -> str:
    """Return ``type:value,...``."""
    return f"{_type_name(values)}:" + ",".join(str(item) for item in values)


def _type_name(values: list[Any]) -> str:
    """Return the name of the one type that all values have."""
    types = {type(item) for item in values}
    if len(types) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in types)) or "none"
        raise TypeError(f"values of one type are needed, these have: {names}")
    kind = types.pop()
    if kind not in _TYPE_NAMES:
        raise TypeError(f"values are int, float, bool or str, not {kind.__name__}")
    return _TYPE_NAMES[kind]
