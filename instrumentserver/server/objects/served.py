"""One served object, and the family that comes from one root."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from instrumentserver.server.caller import Caller
from instrumentserver.server.locks import InstrumentLock
from instrumentserver.server.observed import Version

from .exposure import Exposure

__all__ = ["Family", "FreeLock", "ServedObject", "ServingOptions"]


class FreeLock:
    """Stands where a lock is expected, and keeps nobody waiting: for what may be used by many at the same time."""

    __slots__ = ()
    places: Final = ()

    @property
    def key(self) -> str:
        """A name that nothing else has: whoever comes back to it is not refused."""
        return f"free:{secrets.token_hex(8)}"

    def take(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Return True at once."""
        return True

    def drop(self) -> None:
        """Do nothing."""

    def call_next(self) -> None:
        """Do nothing: nobody waits."""

    acquire = take
    acquire_now = take
    release = drop


@dataclass(frozen=True)
class ServingOptions:
    """How a root is served; see `instrumentserver.Server.serve`."""

    expose: list[str] | None = None
    lock: str = "one"
    access: str = "shared"
    frees: list[str] = field(default_factory=lambda: ["free*"])
    reads: list[str] = field(default_factory=list)


class Family:
    """A root and everything that came from it.

    Attributes:
        name: The name of the root.
        options: How it is served.
        exposure: What clients may use.
        lock: Held during each call on one of the family, unless each object has a lock of its own.
        version: Never changes; what `Caller` asks of an instrument.
        is_closed: Whether the root is served no more.
        was_made: Whether the root was made for the server, which closes it in the end.
        made_from: What it was made of, by which serving the same again is known.
        check: Called before each call with the caller, the object, the member, and the arguments; None for nothing.
        class_numbers: Numbers of the classes of its objects, by shape.
        frees: Patterns of the names of functions that free their first argument.
    """

    def __init__(self, name: str, options: ServingOptions, root: Any, server_id: str) -> None:
        self.name = name
        self.options = options
        self.exposure = Exposure(root, options.expose)
        self.lock: Any = _new_lock(options, server_id)
        self.version = Version()
        self.is_closed = False
        self.was_made = False
        self.made_from: Any = None
        self.check: Callable[[Caller, ServedObject, str, Any, Any], None] | None = None
        self.class_numbers: dict[Any, int] = {}
        self.frees = tuple(options.frees)

    def of_one_client(self, server_id: str) -> Family:
        """Return the family of one client, where each has one of his own: the same with another lock."""
        family = copy.copy(self)
        family.lock = _new_lock(self.options, server_id)
        return family


def _new_lock(options: ServingOptions, server_id: str) -> Any:
    return FreeLock() if options.lock == "none" else InstrumentLock(server_id)


class ServedObject:
    """Something that clients use where it is.

    Attributes:
        path: How it is named.
        thing: The object itself; None once it is served no more.
        family: To which it belongs.
        class_number: Number of the description of its class.
        turn: Whose lock is held during a call on it: the family's or its own.
        holders: The sessions that have it, and the serial numbers of the handles that each has had and not released.
        made_of: Objects that the call had which returned it, and which it may use.
        is_root: Whether it was served by name.
        is_closed: Whether it is served no more.
        keeper: The session for which it is kept, where each client has one of its own; else "".
    """

    __slots__ = (
        *("class_number", "exposure", "family", "holders", "is_closed", "is_root", "keeper", "lock", "name"),
        *("made_of", "path", "thing", "turn", "version"),
    )

    def __init__(
        self, path: str, thing: Any, family: Family, class_number: int, server_id: str, *, is_root: bool
    ) -> None:
        self.path = self.name = path
        self.thing = thing
        self.family = family
        self.exposure = family.exposure
        self.class_number = class_number
        self.version = family.version
        self.turn: Family | ServedObject = family
        if family.options.lock == "each":
            self.lock = InstrumentLock(server_id)
            self.turn = self
        self.holders: dict[str, set[int]] = {}
        self.made_of: tuple[ServedObject, ...] = ()
        self.is_root = is_root
        self.is_closed = False
        self.keeper = ""
