"""Operations on attributes of a thing, also on nested ones, and on what is below them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from qcodes.logger.instrument_logger import InstrumentLoggerAdapter
from qcodes.parameters import ParameterBase

from instrumentserver.schema import SPECIAL_METHODS, ClassSchema, LoggerSchema, MethodSchema, ObjectSchema
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.messages import Op
from instrumentserver.wire.shipping import unship_code
from instrumentserver.wire.values import shown

from .caller import Caller
from .describe import RELATIONS, describe_method, is_method
from .hosted import Target
from .nested import delete_nested, get_nested, set_nested

__all__ = ["AttributeOperations"]

_PASSIVE: Final = frozenset(
    (
        *("label", "unit", "vals", "validators", "step", "scale", "offset", "inter_delay", "post_delay"),
        *("val_mapping", "inverse_val_mapping", "gettable", "settable", "register_name", "metadata"),
        *("snapshot_value", "snapshot_exclude", "abstract"),
    )
)
"""What QCoDeS keeps about a parameter beside its value: reading it never waits for a call."""
_SIMPLE: Final = frozenset((type(None), bool, int, float, str))
"""Types that travel for certain."""
_LONGEST: Final = 500
_TAKES_CODE: Final = frozenset(("get_parser", "set_parser"))


class AttributeOperations:
    """Reads, sets and deletes attributes.

    Args:
        find: Returns what a path leads to.
        is_portable: Tells whether a value can travel.

    Attributes:
        table: The operations by name.
    """

    def __init__(self, find: Callable[[str], Target], is_portable: Callable[[Any], bool]) -> None:
        self._target = find
        self._is_portable = is_portable
        self.table: dict[str, Callable[..., list[Any]]] = {
            Op.GET_ATTRIBUTE: self.get,
            Op.SET_ATTRIBUTE: self.set,
            Op.DELETE_ATTRIBUTE: self.delete,
        }

    def get(self, caller: Caller, path: str, name: str) -> list[Any]:
        """Return an attribute's value, or what stands for a method and for an object that cannot travel."""
        target = self._target(path)
        if name in _PASSIVE and isinstance(target.thing, ParameterBase):
            value = getattr(target.thing, name)
        else:
            with caller.busy_with(target.hosted, Op.GET_ATTRIBUTE, f"{path}.{name}"):
                value = get_nested(target.thing, name)
        if name in RELATIONS and isinstance(target.thing, ParameterBase):
            value = list(value)
        return [target.hosted.version.number, self._form(name, value)]

    def set(self, caller: Caller, path: str, name: str, value: Any) -> list[Any]:
        """Set an attribute."""
        target = self._target(path)
        with caller.busy_with(target.hosted, Op.SET_ATTRIBUTE, f"{path}.{name}"):
            set_nested(target.thing, name, unship_code(value) if name in _TAKES_CODE else value)
        return [target.hosted.version.number, None]

    def delete(self, caller: Caller, path: str, name: str) -> list[Any]:
        """Delete an attribute."""
        target = self._target(path)
        with caller.busy_with(target.hosted, Op.DELETE_ATTRIBUTE, f"{path}.{name}"):
            delete_nested(target.thing, name)
        return [target.hosted.version.number, None]

    def _form(self, name: str, value: Any) -> Any:
        """Return a value in a form that travels."""
        if type(value) in _SIMPLE or isinstance(value, MethodSchema) or self._is_portable(value):
            return value
        for plain in (str, int, float):
            if isinstance(value, plain):
                return plain(value)
        if isinstance(value, InstrumentLoggerAdapter):
            return LoggerSchema(value.logger.name)
        if is_method(value):
            return describe_method(name.rpartition(".")[2], value, self._is_portable)
        mro = type(value).__mro__
        stand_in = ObjectSchema(
            classes=[class_text(cls) for cls in mro if cls is not object],
            shown=shown(value, _LONGEST),
            is_true=_is_true(value),
            doc=getattr(value, "__doc__", None),
            special=[name for name in sorted(SPECIAL_METHODS) if any(name in vars(cls) for cls in mro)],
        )
        return ClassSchema(class_text(value), stand_in) if isinstance(value, type) else stand_in


def _is_true(value: object) -> bool:
    try:
        return bool(value)
    except Exception:  # noqa: BLE001  (arrays of objects and the like have no truth)
        return True
