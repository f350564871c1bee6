"""Ending objects on purpose: who else has one is asked first, and who uses it afterwards is told who did it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from instrumentserver.errors import NotAllowed, ObjectInUse, UsageError

from .access import identity_of
from .served import Family, ServedObject
from .table import ObjectTable

if TYPE_CHECKING:
    from instrumentserver.server.caller import Caller

__all__ = ["Freeing", "frees"]


def frees(family: Family, member: str) -> bool:
    """Return whether a function of a root frees its first argument."""
    return _matches(member, family.frees)


@functools.lru_cache(4096)
def _matches(member: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(member, pattern) for pattern in patterns)


class Freeing:
    """Frees objects for clients.

    Args:
        table: The server's objects.
    """

    def __init__(self, table: ObjectTable) -> None:
        self._table = table

    def prepare(
        self, caller: Caller, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[ServedObject | None, dict[str, Any]]:
        """Make sure that the argument of a function that frees may be freed.

        Returns:
            The object that it will free, None if it gets none, and the function's arguments by keyword.

        Raises:
            ObjectInUse: Others have it, too, and the call does not say ``force=True``.
        """
        arguments = dict(kwargs)
        is_forced = False
        if "force" in arguments and not _takes_force(function):
            is_forced = bool(arguments.pop("force"))
            if is_forced and caller.role != "admin":
                raise NotAllowed("freeing by force takes the role admin; ask those who use the object")
        found = (self._table.of(value) for value in (*args[:1], *arguments.values()))
        served = next((each for each in found if each is not None), None)
        if served is not None and not is_forced:
            self.check_alone(caller, served)
        return served, arguments

    def check_alone(self, caller: Caller, served: ServedObject) -> None:
        """Make sure that nobody but the caller has an object, or something that was made with it.

        Raises:
            ObjectInUse: Others have; they are named.
        """
        users = {served}
        with self._table.guard:
            # What was made of something comes after it.
            for each in self._table.entries.values():
                if not users.isdisjoint(each.made_of):
                    users.add(each)
            others = {
                session: hold
                for each in users
                for session, hold in each.holders.items()
                if session != caller.session
            }
        if not others:
            return
        names = [
            f"{each['program']} (pid {each['pid']}) of {each['user']} on {each['host']}"
            for each in self._table.describe_holders(others)
        ]
        raise ObjectInUse(
            f"{served.path} is used by {' and by '.join(names)}, too, and was not freed; "
            f"free it with force=True to take it from them"
        )

    def free(self, caller: Caller, served: ServedObject, *, is_forced: bool) -> None:
        """Serve an object no more.

        Raises:
            ObjectInUse: Others have it, and it is not forced.
            UsageError: It was served by name.
        """
        if served.path[0] != "@":
            raise UsageError(
                f"{served.path!r} was served by name; end that with server.unserve({served.path!r})"
            )
        if not is_forced:
            self.check_alone(caller, served)
        self.has_freed(caller, served, "instrumentserver.objects.free")

    def has_freed(self, caller: Caller, served: ServedObject, how: str) -> None:
        """Count that a client has freed an object, by a function of that name."""
        self._table.end([served], f"was freed by {identity_of(caller)} with {how}()", freed=True)


def _takes_force(function: Any) -> bool:
    try:
        return "force" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
