"""Which objects a server keeps for its clients, under which paths, and who has them."""

from __future__ import annotations

import functools
import itertools
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from types import ModuleType
from typing import Any, Final

from instrumentserver.errors import ObjectFreed, UnknownName
from instrumentserver.schema import ObjectClassSchema
from instrumentserver.server.locks import acquire_lock

from .describe import describe_object, shape_of
from .listing import describe_entry
from .served import Family, ServedObject

__all__ = ["ObjectTable", "when"]

_MOST_ENDED: Final = 10_000
"""So many objects that are no more are remembered, to say what became of them."""
_PATH: Final = re.compile(r"@(?P<kind>.*)-(?P<mark>[0-9a-f]+)-\d+")


class ObjectTable:
    """All served objects of one server, by path and by identity.

    Any number of threads may use it.

    Args:
        server_name: The server's name, for messages.
        server_id: Tells this server from every other one.
        is_portable: Tells whether a value can travel.

    Attributes:
        entries: The objects by path.
        kept: Those of which each session has one of its own, by name and session.
        ended: What became of those that are no more, by path.
        on_session_let_go: Called with a session and a family when the session has nothing of the family any more.
    """

    def __init__(self, server_name: str, server_id: str, is_portable: Callable[[Any], bool]) -> None:
        self._server_name = server_name
        self._server_id = server_id
        self._is_portable = is_portable
        # No path and no class number of an earlier start of the server comes again.
        self._mark = secrets.token_hex(3)
        self._started = when()
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._class_numbers = itertools.count((int(self._mark, 16) << 20) + 1)
        self._schemas: dict[int, ObjectClassSchema] = {}
        self._own_numbers: set[int] = set()
        self.entries: dict[str, ServedObject] = {}
        self._by_id: dict[int, ServedObject] = {}
        self.kept: dict[tuple[str, str], ServedObject] = {}
        self.ended: dict[str, Exception] = {}
        self._clients: dict[str, dict[str, Any]] = {}
        # Re-entrant: the collector may end something in the middle, whose end uses objects.
        self.guard = threading.RLock()
        self.on_session_let_go: Callable[[str, Family], None] = lambda session, family: None

    def __iter__(self) -> Iterator[ServedObject]:
        return iter(list(self.entries.values()))

    def of(self, thing: object) -> ServedObject | None:
        """Return what is known of an object, None if it is not served."""
        return self._by_id.get(id(thing))

    def gone(self, path: str) -> Exception:
        """Return the error for a path under which there is nothing."""
        ended = self.ended.get(path)
        if ended is not None:
            return type(ended)(*ended.args)
        match = _PATH.fullmatch(path)
        if match is None:
            there = ", ".join(served.path for served in self if served.is_root) or "no objects"
            return UnknownName(f"server {self._server_name!r} serves no object {path!r:.80}; it has {there}")
        kind = match["kind"]
        if match["mark"] != self._mark:
            return UnknownName(
                f"{path} is of an earlier start of server {self._server_name!r}, which was started anew at "
                f"{self._started}; get the {kind} again from what the server serves now"
            )
        return UnknownName(
            f"{path} is not on server {self._server_name!r} any more: everybody who had it let it go"
        )

    # Coming

    def add_root(self, name: str, thing: Any, family: Family) -> ServedObject:
        """Keep an object under a name, until `end`."""
        served = self._new(name, thing, family, is_root=True)
        with self.guard:
            self.entries[name] = served
            self._by_id.setdefault(id(thing), served)
            self.ended.pop(name, None)
        return served

    def add_kept(self, name: str, thing: Any, family: Family, session: str) -> ServedObject:
        """Keep an object for one session only, of which each has one of its own under the same name."""
        served = self._new(name, thing, family, is_root=True)
        served.keeper = session
        with self.guard:
            self._by_id.setdefault(id(thing), served)
            self.kept[name, session] = served
        return served

    def add(self, thing: Any, family: Family, made_of: Iterable[Any] = ()) -> ServedObject:
        """Keep an object that a call returned, for those who are going to hold it.

        Args:
            thing: The object.
            family: Its family.
            made_of: What the call had; those of it that are served are noted.

        Raises:
            NotPortable: It must not be used by clients.
        """
        kind = type(thing)
        # Of a class that has come before nothing need be found out again.
        if kind not in family.class_numbers:
            class_path = family.exposure.class_path(thing)
            if class_path is not None:
                return self.class_of(family, f"{family.name}.{class_path}", thing)
            family.exposure.check_result(thing)
        path = f"@{_plain_name(kind.__name__)}-{self._mark}-{next(self._numbers)}"
        served = self._new(path, thing, family, is_root=False)
        parents = (self._by_id.get(id(each)) for each in made_of)
        served.made_of = tuple(parent for parent in parents if parent is not None)
        with self.guard:
            known = self._by_id.setdefault(id(thing), served)
            if known is served:
                self.entries[served.path] = served
        return known

    def class_of(self, family: Family, path: str, cls: Any) -> ServedObject:
        """Return a class of a root, which is there as long as the root is."""
        served = self._new(path, cls, family, is_root=False)
        with self.guard:
            known = self.entries.setdefault(path, served)
            self._by_id.setdefault(id(cls), known)
        return known

    def _new(self, path: str, thing: Any, family: Family, *, is_root: bool) -> ServedObject:
        number = self._class_number(thing, family)
        return ServedObject(path, thing, family, number, self._server_id, is_root=is_root)

    def _class_number(self, thing: Any, family: Family) -> int:
        number = family.class_numbers.get(type(thing))
        if number is not None:
            return number
        shape = shape_of(thing)
        number = family.class_numbers.get(shape)
        if number is None:
            schema = describe_object(thing, family.exposure, self._is_portable)
            with self.guard:
                number = next(self._class_numbers)
                if isinstance(shape, tuple) and not isinstance(thing, ModuleType | type):
                    # A function is like no other; its number goes with it.
                    self._own_numbers.add(number)
                else:
                    number = family.class_numbers.setdefault(shape, number)
                self._schemas[number] = schema
        return number

    def schema(self, number: int) -> ObjectClassSchema:
        """Return the description of a class.

        Raises:
            UnknownName: No object had one of that number.
        """
        try:
            return self._schemas[number]
        except KeyError:
            raise UnknownName(f"server {self._server_name!r} knows no class number {number!r:.20}") from None

    # Holding

    def hold(self, served: ServedObject, session: str, client: dict[str, Any]) -> int:
        """Count one more handle that a session is sent, and return its serial number; the caller has the `guard`."""
        serial = next(self._serials)
        serials = served.holders.get(session)
        if serials is None:
            self._clients.setdefault(session, client)
            served.holders[session] = {serial}
        else:
            serials.add(serial)
        return serial

    def release(self, session: str, handles: Iterable[tuple[str, Iterable[int]]]) -> None:
        """Count what a session has no more: objects by path, and the serial numbers of their handles.

        An object of which another handle is on its way to the session stays its own.
        """
        let_go = []
        with self.guard:
            for path, serials in handles:
                served = self.entries.get(path)
                if served is not None and self.count_off(served, session, serials):
                    let_go.append(served)
            dropped = self._take_out(let_go)
        self._tell_let_go(session, let_go)
        self._drop(dropped)

    def count_off(self, served: ServedObject, session: str, serials: Iterable[int]) -> bool:
        """Count handles no more; return whether the session has the object no more. The caller has the `guard`."""
        held = served.holders.get(session)
        if held is None:
            return False
        held.difference_update(serials)
        if held:
            return False
        del served.holders[session]
        return True

    def drop_session(self, session: str) -> None:
        """Count that a session has ended."""
        with self.guard:
            self._clients.pop(session, None)
            held = [served for served in self.entries.values() if session in served.holders]
            for served in held:
                del served.holders[session]
            dropped = self._take_out(held)
        self._tell_let_go(session, held)
        self._drop(dropped)

    def drop_unheld(self, candidates: Iterable[ServedObject]) -> None:
        """Let go of those objects that nobody has."""
        with self.guard:
            dropped = self._take_out(candidates)
        self._drop(dropped)

    def _tell_let_go(self, session: str, let_go: Iterable[ServedObject]) -> None:
        for family in {served.family for served in let_go if served.family.options.access == "exclusive"}:
            if not any(session in served.holders for served in self if served.family is family):
                self.on_session_let_go(session, family)

    # Going

    def end(
        self, ended: Iterable[ServedObject], how: str, *, freed: bool = False, patience: float = -1
    ) -> None:
        """Serve objects no more, whoever holds them.

        Args:
            ended: The objects.
            how: What became of them, such as "was unserved by ...".
            freed: Whether somebody freed them on purpose.
            patience: How long to wait for the calls that are under way, seconds; -1 for ever.
        """
        with self.guard:
            dropped = [served for served in ended if not served.is_closed]
            for served in dropped:
                self._remove(served, ObjectFreed if freed else UnknownName, f"{how} at {when()}")
        self._drop(dropped, patience)

    def _take_out(self, candidates: Iterable[ServedObject]) -> list[ServedObject]:
        """Remove those that nobody has, and that are not served by name; the guard is held."""
        dropped = []
        how = ""
        for served in candidates:
            if not (served.holders or served.is_closed or served.path[0] != "@"):
                how = how or f"was dropped when the last client that had it let it go, at {when()}"
                self._remove(served, UnknownName, how)
                dropped.append(served)
        return dropped

    def _remove(self, served: ServedObject, kind: type[Exception], how: str) -> None:
        served.is_closed = True
        served.holders.clear()
        if self.entries.get(served.path) is served:
            del self.entries[served.path]
            self.ended.pop(served.path, None)
            self.ended[served.path] = kind(f"{served.path} of server {self._server_name!r} {how}")
            if len(self.ended) > _MOST_ENDED:
                del self.ended[next(iter(self.ended))]
        if self._by_id.get(id(served.thing)) is served:
            del self._by_id[id(served.thing)]
        if served.class_number in self._own_numbers:
            self._own_numbers.discard(served.class_number)
            del self._schemas[served.class_number]

    def _drop(self, dropped: list[ServedObject], patience: float = -1) -> None:
        """Let Python end objects, each as if it were a call on it: what an object does at its end is one."""
        give_up = time.monotonic() + patience
        for served in dropped:
            if not acquire_lock(served.turn, -1 if patience < 0 else max(0.0, give_up - time.monotonic())):
                continue
            lock = served.turn.lock
            try:
                thing, served.thing = served.thing, None
                served.exposure.let_go(thing)
                del thing
            finally:
                lock.release()

    # What there is

    def proxies(self) -> list[dict[str, Any]]:
        """Return who has what, as plain values; see `instrumentserver.Server.proxies`."""
        with self.guard:
            known = [
                (served, served.thing, dict(served.holders))
                for served in (*self.entries.values(), *self.kept.values())
                if served.is_root or served.path[0] == "@"
            ]
        return [
            {**describe_entry(served, thing), "holders": self.describe_holders(holders)}
            for served, thing, holders in known
        ]

    def describe_holders(self, holders: Mapping[str, Collection[int]]) -> list[dict[str, Any]]:
        """Return who some sessions are, as plain values."""
        names = ("user", "host", "pid", "program")
        return [
            {
                **{name: self._clients.get(session, {}).get(name) for name in names},
                "session": session,
                "count": len(serials),
            }
            for session, serials in holders.items()
        ]


@functools.lru_cache(1024)
def _plain_name(name: str) -> str:
    """Return the name of a class as a path may hold it."""
    return re.sub(r"\W", "_", name)


def when() -> str:
    """Return the present time, for people."""
    return f"{datetime.now():%Y-%m-%d %H:%M:%S}"
