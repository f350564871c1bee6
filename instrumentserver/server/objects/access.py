"""Who may use what: for everybody, for one client at a time, or for each client one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from instrumentserver.errors import NotAllowed, ObjectInUse

from .served import Family, ServedObject
from .table import when

if TYPE_CHECKING:
    from instrumentserver.server.caller import Caller

__all__ = ["Access", "ClientIdentity", "ObjectCall", "check_reading", "identity_of"]

_LOOKING: Final = frozenset(
    ("__len__", "__getitem__", "__contains__", "__repr__", "__str__", "__bool__", "__dir__")
)
"""Special methods that read."""


@dataclass(frozen=True)
class ClientIdentity:
    """Who calls.

    Attributes:
        session: Identifies his process.
        user: His name on his computer.
        host: His computer.
        pid: His process there.
        program: His script.
        role: "viewer", "operator" or "admin".
        address: Where he is a server himself, its address; else "".
    """

    session: str
    user: str
    host: str
    pid: int
    program: str
    role: str
    address: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid}) of {self.user} on {self.host}"


class ObjectCall(NamedTuple):
    """What a client is about to do.

    Attributes:
        path: The object, such as ``timetagger`` or ``@Counter-c3f1a2-12``.
        class_name: The name of its class, or of the module.
        member: The method or attribute; "" calls the object itself.
        args: The arguments; of an attribute that is set, its new value.
        kwargs: The arguments by keyword.
    """

    path: str
    class_name: str
    member: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


BeforeCall = Callable[[ClientIdentity, ObjectCall], object]


class Access:
    """Checks each call on a family.

    Args:
        family: The family.
        before_call: Called on the server before each call, and raises to refuse it; None for nothing.
    """

    def __init__(self, family: Family, before_call: BeforeCall | None) -> None:
        self._family = family
        self._before_call = before_call
        self._is_exclusive = family.options.access == "exclusive"
        self._guard = threading.Lock()
        self._owner: tuple[str, str] | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to check."""
        return self._is_exclusive or self._before_call is not None

    def check(self, caller: Caller, served: ServedObject, member: str, args: Any, kwargs: Any) -> None:
        """Make sure that a client may make a call, and count that he uses the family.

        Raises:
            ObjectInUse: Another client has it for himself.
            Exception: Whatever the server's own function raised to refuse the call.
        """
        if self._is_exclusive:
            self._take(caller)
        if self._before_call is not None:
            thing = served.thing
            named = thing if hasattr(thing, "__name__") else type(thing)
            call = ObjectCall(served.path, str(named.__name__), member, tuple(args), dict(kwargs))
            self._before_call(identity_of(caller), call)

    def let_go(self, session: str) -> None:
        """Leave the family to the next client, if this one has it."""
        with self._guard:
            if self._owner is not None and self._owner[0] == session:
                self._owner = None

    def _take(self, caller: Caller) -> None:
        with self._guard:
            if self._owner is None:
                self._owner = (caller.session, f"{identity_of(caller)} since {when()}")
            session, who = self._owner
        if session != caller.session:
            raise ObjectInUse(
                f"{self._family.name!r} is for one client at a time, and used by {who}; "
                f"it is free when he ends, or calls instrumentserver.objects.release()"
            )


def identity_of(caller: Caller) -> ClientIdentity:
    """Return who calls."""
    told = caller.introduction
    pid = told.get("pid")
    return ClientIdentity(
        session=caller.session,
        user=str(told.get("user", "?")),
        host=str(told.get("host", "?")),
        pid=pid if isinstance(pid, int) else 0,
        program=str(told.get("program", "?")),
        role=str(getattr(caller, "role", "admin")),
        address=caller.server,
    )


def check_reading(served: ServedObject, member: str) -> None:
    """Make sure that a client who may only read makes a call that reads.

    Raises:
        NotAllowed: Nothing says that it does.
    """
    thing = served.thing
    named = thing if hasattr(thing, "__name__") else type(thing)
    names = (member, f"{named.__name__}.{member}")
    patterns = served.family.options.reads
    if member in _LOOKING or any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
        return
    raise NotAllowed(
        f"a viewer may only read, and nothing says that {names[1] or named.__name__} only reads; "
        f"ask for an operator's token, or serve it with reads=[{names[1]!r}]"
    )
