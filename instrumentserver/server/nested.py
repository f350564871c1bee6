"""Nested attribute names, such as ``ch1.unit`` or ``table["a"][1]``, as the old QCoDeS server had them."""

from __future__ import annotations

import ast
import logging
import types
from contextvars import ContextVar
from typing import Any, Final

from qcodes.instrument import ChannelTuple, InstrumentBase

from instrumentserver.errors import NotAllowed, UsageError
from instrumentserver.schema import SPECIAL_METHODS

__all__ = ["be_strict", "check_public", "delete_nested", "get_nested", "set_nested"]

_SPECIAL: Final = SPECIAL_METHODS | {"__repr__", "__str__"}
"""Special methods that a name may lead to."""
_INSIDES: Final = (
    *(types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType),
    *(
        types.FrameType,
        types.TracebackType,
        types.GeneratorType,
        types.CoroutineType,
        types.AsyncGeneratorType,
    ),
    *(logging.Logger, logging.LoggerAdapter, logging.Handler),
)
"""What is made of Python rather than of a driver: a name from a network leads to such a thing, and never into it."""
_INSIDE_NAMES: Final = frozenset(
    (
        *("gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_code", "cr_await", "cr_origin"),
        *("ag_frame", "ag_code", "ag_await", "tb_frame", "tb_next", "func_globals", "func_code"),
        *("f_back", "f_builtins", "f_code", "f_globals", "f_locals", "f_trace", "f_generator"),
    )
)
"""What Python itself gives to frames, code and functions."""
_is_strict: Final[ContextVar[bool]] = ContextVar("is_strict", default=False)
_Step = tuple[bool, Any]
"""Whether it is an index, and the attribute's name or the index."""


def be_strict() -> None:
    """Have this thread, from now on, not follow names into modules, functions, frames and the like."""
    _is_strict.set(True)


def check_public(name: str) -> None:
    """Make sure that a name from a network has only parts that a driver's author meant for everybody.

    Raises:
        NotAllowed: It has a part that begins with an underscore, or that is a name of Python's own.
        UsageError: It is malformed.
    """
    for is_index, part in _parse(name) if name else ():
        if is_index or part in _SPECIAL:
            continue
        if part.startswith("_") or part in _INSIDE_NAMES:
            raise NotAllowed(f"{part!r} in {name!r} is not public, and cannot be used over a network")


def get_nested(thing: Any, name: str) -> Any:
    """Return what ``name`` leads to.

    Raises:
        AttributeError: An attribute is not there.
        LookupError: An index is not there.
        UsageError: The name is malformed.
    """
    follow = _follow_strictly if _is_strict.get() else _follow
    for step in _parse(name):
        thing = follow(thing, step)
    return thing


def set_nested(thing: Any, name: str, value: Any) -> None:
    """Set the attribute or item that ``name`` leads to.

    Raises:
        AttributeError: An attribute on the way is not there.
        LookupError: An index on the way is not there.
        TypeError: An index is set on something that takes none.
        UsageError: The name is malformed.
    """
    *way, (is_index, last) = _parse(name)
    follow = _follow_strictly if _is_strict.get() else _follow
    for step in way:
        thing = follow(thing, step)
    if follow is _follow_strictly:
        _check_outside(thing, last)
    if is_index:
        thing[last] = value
    else:
        setattr(thing, last, value)


def delete_nested(thing: Any, name: str) -> None:
    """Delete the attribute or item that ``name`` leads to.

    Raises:
        AttributeError: An attribute is not there.
        LookupError: An index is not there.
        UsageError: The name is malformed.
    """
    *way, (is_index, last) = _parse(name)
    follow = _follow_strictly if _is_strict.get() else _follow
    for step in way:
        thing = follow(thing, step)
    if follow is _follow_strictly:
        _check_outside(thing, last)
    if is_index:
        del thing[last]
    else:
        delattr(thing, last)


def _follow(thing: Any, step: _Step) -> Any:
    is_index, key = step
    if is_index:
        return thing[key]
    # Parameters come before plain attributes: drivers keep ``self.x`` beside a parameter x.
    if isinstance(thing, InstrumentBase) and key in thing.parameters:
        return thing.parameters[key]
    if isinstance(thing, ChannelTuple) and key.isdigit():
        return thing[int(key)]
    return getattr(thing, key)


def _follow_strictly(thing: Any, step: _Step) -> Any:
    _check_outside(thing, step[1])
    return _follow(thing, step)


def _check_outside(thing: Any, part: object) -> None:
    if isinstance(thing, _INSIDES):
        raise NotAllowed(
            f"{part!r} is inside a {type(thing).__name__}, and cannot be used over a network; "
            f"have the driver offer a method for it"
        )


def _parse(name: str) -> list[_Step]:
    if name.isidentifier() and (not name.startswith("__") or name in _SPECIAL):
        return [(False, name)]
    try:
        node: ast.expr = ast.parse(f"_.{name}", mode="eval").body
    except SyntaxError as error:
        raise _malformed(name) from error
    steps: list[_Step] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute) and (not node.attr.startswith("__") or node.attr in _SPECIAL):
            steps.append((False, node.attr))
            node = node.value
        elif isinstance(node, ast.Subscript):
            try:
                steps.append((True, ast.literal_eval(node.slice)))
            except ValueError as error:
                raise _malformed(name) from error
            node = node.value
        else:
            raise _malformed(name)
    if node.id != "_":
        raise _malformed(name)
    return steps[::-1]


def _malformed(name: str) -> UsageError:
    return UsageError(
        f"{name!r} is not a nested attribute; write names, dots and indices, such as ch1.table['a'][0]"
    )
