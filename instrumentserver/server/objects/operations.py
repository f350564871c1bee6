"""The operations on served objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.errors import UnknownName, UsageError
from instrumentserver.wire.messages import Op

from .access import check_reading
from .coroutines import Coroutines
from .freeing import Freeing, frees
from .roots import Roots
from .served import ServedObject
from .table import ObjectTable

if TYPE_CHECKING:
    from instrumentserver.server.caller import Caller

__all__ = ["ObjectOperations"]

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))
"""Results that hold no objects, looked for before anything is prepared for those that do."""


class ObjectOperations:
    """What clients may ask of served objects.

    Args:
        table: The server's objects.
        roots: What it serves by name.

    Attributes:
        table: The operations by name.
        viewer_table: The same for those who may only read.
    """

    def __init__(self, table: ObjectTable, roots: Roots) -> None:
        self._table = table
        self._entries = table.entries
        self._roots = roots
        self._coroutines = Coroutines()
        self._freeing = Freeing(table)
        self.table: dict[str, Callable[..., list[Any]]] = {
            Op.OBJECT_CALL: self._call,
            Op.OBJECT_GET: self._get,
            Op.OBJECT_SET: self._set,
            Op.OBJECT_DELETE: self._delete,
            Op.OBJECT_CANCEL: self._cancel_one,
            Op.OBJECT_CLASS: lambda caller, path, number: [0, table.schema(number)],
            Op.OBJECT_FIND: self._find_one,
            Op.OBJECT_HOLD: self._hold,
            Op.OBJECT_RELEASE: self._release,
            Op.OBJECT_FREE: self._free,
            Op.OBJECT_LIST: self._list,
            Op.SERVE: self._serve,
            Op.UNSERVE: self._unserve,
        }
        looking = (
            *(Op.OBJECT_GET, Op.OBJECT_CANCEL, Op.OBJECT_CLASS, Op.OBJECT_FIND, Op.OBJECT_HOLD),
            *(Op.OBJECT_RELEASE, Op.OBJECT_LIST),
        )
        self.viewer_table = {
            Op.OBJECT_CALL: self._call_as_viewer,
            **{operation: self.table[operation] for operation in looking},
        }

    def find(self, caller: Caller, path: str) -> ServedObject:
        """Return what is served under a path.

        Raises:
            UnknownName: Nothing is; the message says what became of it.
        """
        served = self._entries.get(path)
        return self._roots.find(caller, path) if served is None else served

    def close(self) -> None:
        """Cancel the async methods that run: nobody would wait for them to end."""
        self._coroutines.close()

    # Using

    def _call(
        self,
        caller: Caller,
        path: str,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        token: int = 0,
    ) -> list[Any]:
        served = self._entries.get(path)
        if served is None:
            served = self._roots.find(caller, path)
        family = served.family
        if family.check is not None:
            family.check(caller, served, name, args, kwargs)
        freed = None
        if served.is_root and frees(family, name):
            function = getattr(served.thing, name, None)
            freed, kwargs = self._freeing.prepare(caller, function, args, kwargs)
        if name == "__dir__":
            # Tab completion does not wait for a slow call.
            return [0, served.exposure.call(self._thing(served), name, args, kwargs)]
        self._begin(caller, served, Op.OBJECT_CALL, name)
        try:
            thing = served.thing
            if served.is_closed:
                raise self._table.gone(path)
            value = served.exposure.call(thing, name, args, kwargs)
            if hasattr(type(value), "__await__"):
                value = self._coroutines.finish(caller, token, value)
        finally:
            caller.end()
        if freed is not None:
            self._freeing.has_freed(caller, freed, f"{path}.{name}")
        if type(value) not in _PLAIN:
            caller.references.begin(family, (thing, *args, *kwargs.values()))
        return [0, value]

    def _call_as_viewer(self, caller: Caller, path: str, name: str, *arguments: Any) -> list[Any]:
        check_reading(self.find(caller, path), name)
        return self._call(caller, path, name, *arguments)

    def _get(self, caller: Caller, path: str, name: str) -> list[Any]:
        served = self.find(caller, path)
        family = served.family
        if family.check is not None:
            family.check(caller, served, name, (), {})
        self._begin(caller, served, Op.OBJECT_GET, name)
        try:
            thing = served.thing
            if served.is_closed:
                raise self._table.gone(path)
            value = served.exposure.get(thing, name)
        finally:
            caller.end()
        if type(value) not in _PLAIN:
            caller.references.begin(family, (thing,))
        return [0, value]

    def _set(self, caller: Caller, path: str, name: str, value: Any) -> list[Any]:
        served = self._checked(caller, path, name, (value,))
        self._begin(caller, served, Op.OBJECT_SET, name)
        try:
            served.exposure.set(self._thing(served), name, value)
        finally:
            caller.end()
        return [0, None]

    def _delete(self, caller: Caller, path: str, name: str) -> list[Any]:
        served = self._checked(caller, path, name, ())
        self._begin(caller, served, Op.OBJECT_DELETE, name)
        try:
            served.exposure.delete(self._thing(served), name)
        finally:
            caller.end()
        return [0, None]

    def _cancel_one(self, caller: Caller, path: str, token: int) -> list[Any]:
        self._coroutines.cancel(caller, token)
        return [0, None]

    def _checked(self, caller: Caller, path: str, name: str, args: tuple[Any, ...]) -> ServedObject:
        served = self.find(caller, path)
        if served.family.check is not None:
            served.family.check(caller, served, name, args, {})
        return served

    def _thing(self, served: ServedObject) -> Any:
        thing = served.thing
        if served.is_closed:
            raise self._table.gone(served.path)
        return thing

    def _begin(self, caller: Caller, served: ServedObject, operation: str, name: str) -> None:
        """Wait for the object's turn."""
        turn = served.turn
        if caller.functions:
            for known in caller.functions:
                function = known()
                if function is not None:
                    function._family = served.family
            caller.functions.clear()
        if caller.met:
            self._roots.join_locks(caller, turn)
        path = served.path
        try:
            caller.begin(turn, operation, f"{path}.{name}" if name else path)
        except UnknownName:
            # It ended while this call waited.
            raise self._table.gone(path) from None

    # Having

    def _find_one(self, caller: Caller, path: str) -> list[Any]:
        served = self.find(caller, path)
        caller.references.begin(served.family)
        return [0, served]

    def _hold(self, caller: Caller, path: str, paths: Sequence[str]) -> list[Any]:
        """Count objects that the client has from before; return a serial number for each, None for what is gone."""
        return [0, caller.references.count_again([self._entries.get(each) for each in paths])]

    def _release(
        self, caller: Caller, path: str, handles: Sequence[tuple[str, Sequence[int]]], is_final: bool = False
    ) -> list[Any]:
        """Count what the client has no more; ``is_final`` leaves what it had for itself to others."""
        if is_final:
            for each, _ in handles:
                self._roots.let_go(caller, each)
        self._table.release(caller.session, handles)
        return [0, None]

    def _free(self, caller: Caller, path: str, is_forced: bool) -> list[Any]:
        served = self._checked(caller, path, "", ())
        with caller.busy(Op.OBJECT_FREE, path):
            self._freeing.free(caller, served, is_forced=is_forced)
        return [0, None]

    def _list(self, caller: Caller, path: str, is_brief: bool = False) -> list[Any]:
        """List the roots' names, or everything and who has it; of one path its holders alone."""
        if path:
            return [0, self._table.describe_holders(dict(self.find(caller, path).holders))]
        return [0, self._roots.names() if is_brief else self._table.proxies()]

    # Serving

    def _serve(
        self, caller: Caller, path: str, shipped: dict[str, Any], options: dict[str, Any]
    ) -> list[Any]:
        if not isinstance(path, str):
            raise UsageError(f"{path!r} cannot name an object")
        with caller.busy(Op.SERVE, path):
            served = self._roots.serve(caller, path, shipped, options)
        caller.references.begin(served.family)
        return [0, served]

    def _unserve(self, caller: Caller, path: str) -> list[Any]:
        with caller.busy(Op.UNSERVE, path):
            self._roots.unserve(path, caller)
        return [0, None]
