"""What a server serves by name: made, found, ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from instrumentserver.errors import NotAllowed, UnknownName, UsageError
from instrumentserver.server.instruments import Instruments
from instrumentserver.server.locks import acquire_lock
from instrumentserver.wire.serving import load_function, load_thing
from instrumentserver.wire.shipping import CODE_REFUSAL, unship_code

from .access import Access, identity_of
from .served import Family, FreeLock, ServedObject, ServingOptions
from .table import ObjectTable, when

if TYPE_CHECKING:
    from instrumentserver.server.caller import Caller

__all__ = ["Roots"]

logger = logging.getLogger(__name__)

_LOCKS: Final = ("one", "each", "none")
_ACCESSES: Final = ("shared", "exclusive", "client")
_CLOSE_SECONDS: Final = 10.0
"""How long a call that is under way may keep a stopping server from closing what it made."""


class Roots:
    """The objects that were served by name.

    Args:
        table: All objects of the server.
        instruments: Its instruments, which share the names.
    """

    def __init__(self, table: ObjectTable, instruments: Instruments) -> None:
        self._table = table
        self._instruments = instruments
        self._families: dict[str, Family] = {}
        self._accesses: dict[str, Access] = {}
        # How one is made, where each client has one of its own.
        self._makers: dict[str, Callable[[], Any]] = {}
        self._making: dict[Hashable, threading.RLock] = {}
        self._guard = threading.Lock()
        table.on_session_let_go = self._let_family_go
        instruments.is_taken = self._families.__contains__
        instruments.others_with_locks = self._with_locks

    def names(self) -> list[str]:
        """Return the names of what is served."""
        return list(self._families)

    def classes(self) -> dict[str, str]:
        """Return what is served, for people, by name."""
        return {name: str(family.made_from[0]) for name, family in list(self._families.items())}

    def find(self, caller: Caller, path: str) -> ServedObject:
        """Return what is served under a path, made if the client is to have one of its own.

        Raises:
            UnknownName: Nothing is; the message says what became of it.
        """
        served = self._table.entries.get(path)
        if served is not None:
            return served
        name, _, class_path = path.partition(".")
        family = self._families.get(name)
        if family is None:
            if path[:1] != "@" and path not in self._table.ended:
                self._refuse(name)
            raise self._table.gone(path)
        if class_path:
            return self._table.class_of(family, path, family.exposure.class_at(class_path))
        return self._own(caller, name, family)

    def _refuse(self, name: str) -> NoReturn:
        """Say that a name is neither an instrument's nor an object's."""
        self._instruments.refuse_ended(name)
        there = [*(hosted.name for hosted in self._instruments), *self._families]
        raise UnknownName(
            f"server {self._instruments.server_name!r} has neither an instrument nor an object {name!r:.80}; "
            f"it has {', '.join(there) or 'nothing'}"
        )

    def serve(
        self, caller: Caller, name: str, shipped: dict[str, Any], options: dict[str, Any]
    ) -> ServedObject:
        """Serve something, or find it.

        Args:
            caller: Who asks for it.
            name: The name.
            shipped: What to serve, as `instrumentserver.wire.serving.dump_thing` returned it.
            options: ``expose``, ``lock``, ``access``, ``frees`` and ``reads``; ``arguments`` to make it with, or
                None; ``before_call``; and ``digest``, by which the same is known again.

        Raises:
            UsageError: Something else has the name, or an option is none.
            Exception: Whatever making it raised; nothing is left behind.
        """
        _check_options(name, options)
        shipped = _allowed(caller, shipped)
        options["before_call"] = _allowed(caller, options["before_call"])
        with self._name_in_making(name):
            made_from = (shipped["shown"], options.pop("digest"))
            found = self._families.get(name)
            if found is not None:
                if found.made_from != made_from:
                    raise UsageError(
                        f"{name!r} is served already: {found.made_from[0]}, lock {found.options.lock!r}, access "
                        f"{found.options.access!r}; end that with server.unserve({name!r}), or choose another name"
                    )
                return self.find(caller, name)
            if self._instruments.get(name) is not None:
                raise UsageError(f"{name!r} is an instrument of this server; choose another name")
            return self._serve(caller, name, shipped, options, made_from)

    def _serve(
        self,
        caller: Caller,
        name: str,
        shipped: dict[str, Any],
        options: dict[str, Any],
        made_from: tuple[str, str],
    ) -> ServedObject:
        arguments, before_call = options.pop("arguments"), load_function(options.pop("before_call"))
        thing = load_thing(shipped)
        make = _maker(name, thing, arguments)
        if make is None and options["access"] == "client":
            raise UsageError(
                f"access='client' makes one for each client: serve a class or a function that makes it, "
                f"with arguments=[...], not {shipped['shown']}"
            )
        was_made = make is not None
        if make is not None:
            thing = make()
        try:
            family = Family(name, ServingOptions(**options), thing, self._instruments.server_id)
            family.made_from, family.was_made = made_from, was_made
            access = Access(family, before_call)
            family.check = access.check if access.is_needed else None
            if options["access"] == "client":
                assert make is not None
                self._makers[name] = make
                served = self._keep(caller, name, family, thing)
            else:
                served = self._table.add_root(name, thing, family)
        except BaseException:
            if was_made:
                _close(name, thing)
            raise
        self._accesses[name] = access
        self._families[name] = family
        logger.info("%s served as %s", made_from[0], name)
        return served

    def unserve(self, name: str, caller: Caller) -> None:
        """End a root and everything that came from it, after the call that is under way.

        Raises:
            UnknownName: Nothing of that name is served.
        """
        family = self._families.pop(name, None)
        if family is None:
            raise self._table.gone(name)
        self._end(name, family, f"was unserved by {identity_of(caller)}")

    def close_all(self) -> None:
        """End everything, the latest first. Errors are logged."""
        give_up = time.monotonic() + _CLOSE_SECONDS
        for name in reversed(list(self._families)):
            family = self._families.pop(name, None)
            if family is not None:
                patience = max(0.0, give_up - time.monotonic())
                self._end(name, family, "was ended when its server stopped", patience)

    def drop_session(self, session: str) -> None:
        """End what a session had for itself."""
        for access in list(self._accesses.values()):
            access.let_go(session)
        for name in list(self._makers):
            self._making.pop((name, session), None)
            kept = self._table.kept.pop((name, session), None)
            if kept is not None:
                self._end_family(kept.family, [kept], "ended with the client whose own it was")

    def let_go(self, caller: Caller, path: str) -> None:
        """Leave to others what a client has for itself."""
        served = self._table.entries.get(path) or self._table.kept.get((path, caller.session))
        if served is not None:
            self._accesses[served.family.name].let_go(caller.session)

    def join_locks(self, caller: Caller, turn: Family | ServedObject) -> None:
        """Have an object and those that a call brings to it share a lock, for it may keep and use them."""
        owners = [owner for owner in (*caller.met, turn) if not isinstance(owner.lock, FreeLock)]
        if turn not in owners:
            return
        if caller.incoming:
            for owner in caller.met:
                caller.refuse_cycle(owner, owner.name)
        self._instruments.join_locks(owners)

    def _end(self, name: str, family: Family, how: str, patience: float = -1) -> None:
        self._makers.pop(name, None)
        self._accesses.pop(name, None)
        for key in [key for key in self._table.kept if key[0] == name]:
            self._making.pop(key, None)
            kept = self._table.kept.pop(key, None)
            if kept is not None:
                self._end_family(kept.family, [kept], how, patience)
        self._end_family(family, [], how, patience)
        self._table.ended.setdefault(name, UnknownName(f"{name} {how} at {when()}"))
        logger.info("%s %s", name, how)

    def _end_family(
        self, family: Family, kept: Sequence[ServedObject], how: str, patience: float = -1
    ) -> None:
        """End all of a family, the root with the rest, after the call that is under way."""
        served = [*(each for each in self._table if each.family is family), *kept]
        is_idle = acquire_lock(family, patience)
        lock = family.lock
        if not is_idle:
            logger.warning("%s is ended although a call on it has not ended", family.name)
        try:
            family.is_closed = True
            if family.was_made:
                for each in served:
                    if each.is_root:
                        _close(family.name, each.thing)
        finally:
            if is_idle:
                lock.release()
        self._table.end(served, how, patience=patience)

    # One for each client

    def _own(self, caller: Caller, name: str, family: Family) -> ServedObject:
        with self._name_in_making((name, caller.session)):
            kept = self._table.kept.get((name, caller.session))
            if kept is None:
                make = self._makers.get(name)
                if make is None:
                    raise self._table.gone(name)
                kept = self._keep(caller, name, family, make())
        return kept

    def _keep(self, caller: Caller, name: str, family: Family, thing: Any) -> ServedObject:
        return self._table.add_kept(
            name, thing, family.of_one_client(self._instruments.server_id), caller.session
        )

    # Locks and names

    def _with_locks(self) -> Iterator[Any]:
        kept = [each.family for each in list(self._table.kept.values())]
        for family in (*list(self._families.values()), *kept):
            if family.options.lock == "one":
                yield family
        for served in self._table:
            if served.turn is served:
                yield served

    def _let_family_go(self, session: str, family: Family) -> None:
        access = self._accesses.get(family.name)
        if access is not None:
            access.let_go(session)

    @contextmanager
    def _name_in_making(self, name: Hashable) -> Iterator[None]:
        with self._guard:
            lock = self._making.setdefault(name, threading.RLock())
        with lock:
            yield


def _allowed(caller: Caller, shipped: Any) -> Any:
    """Return what a client sent to be served, after making sure that he may have the server import it.

    Raises:
        NotAllowed: He came over a network, and it is not on the server's list, or no import path.
    """
    if caller.allowed is None or shipped is None:
        return shipped
    path = shipped.get("import") or shipped.get("class", {}).get("name")
    if path is None:
        raise NotAllowed(CODE_REFUSAL)
    # His folders are on another computer.
    return {"import": caller.allowed.check(path), "sys_path": [], "shown": str(path)}


def _maker(name: str, thing: Any, arguments: Any) -> Callable[[], Any] | None:
    """Return what makes the object to serve, None where it is there already."""
    if arguments is None:
        return None
    if not callable(thing):
        raise UsageError(
            f"arguments= are for a class or function that makes {name!r}; {thing!r:.80} cannot be called"
        )
    args, kwargs = arguments
    args = unship_code(list(args))
    kwargs = {key: unship_code(value) for key, value in kwargs.items()}
    return lambda: thing(*args, **kwargs)


def _close(name: str, thing: Any) -> None:
    """Close what was made for the server, where it can be closed."""
    close = getattr(thing, "close", None)
    if not callable(close):
        return
    try:
        close()
    except Exception:
        logger.exception("closing %s failed", name)


def _check_options(name: str, options: dict[str, Any]) -> None:
    if not name.isidentifier():
        raise UsageError(
            f"{name!r} cannot name an object; its name must be an identifier such as 'timetagger'"
        )
    choices: Sequence[tuple[str, Sequence[str]]] = (("lock", _LOCKS), ("access", _ACCESSES))
    for option, possible in choices:
        if options[option] not in possible:
            raise UsageError(f"{option}={options[option]!r} is none of {', '.join(map(repr, possible))}")
