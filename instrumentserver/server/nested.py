"""Nested attribute names, such as ``ch1.unit`` or ``table["a"][1]``, as the old QCoDeS server had them."""

from __future__ import annotations

import ast
from typing import Any, Final

from qcodes.instrument import ChannelTuple, InstrumentBase

from instrumentserver.errors import UsageError
from instrumentserver.schema import SPECIAL_METHODS

__all__ = ["delete_nested", "get_nested", "set_nested"]

_SPECIAL: Final = SPECIAL_METHODS | {"__repr__", "__str__"}
"""Special methods that a name may lead to."""
_Step = tuple[bool, Any]
"""Whether it is an index, and the attribute's name or the index."""


def get_nested(thing: Any, name: str) -> Any:
    """Return what ``name`` leads to.

    Raises:
        AttributeError: An attribute is not there.
        LookupError: An index is not there.
        UsageError: The name is malformed.
    """
    for step in _parse(name):
        thing = _follow(thing, step)
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
    for step in way:
        thing = _follow(thing, step)
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
    for step in way:
        thing = _follow(thing, step)
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
