"""The table of operations: what a request makes the server do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final, Protocol

from qcodes.validators import Arrays

from instrumentserver.errors import NotPortable, UsageError
from instrumentserver.schema import InstrumentSchema
from instrumentserver.wire.classes import find_class_text
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import Op

from .attributes import AttributeOperations
from .caller import Caller
from .channels import ChannelOperations
from .cycles import Wait
from .describe import describe_instrument, describe_part
from .held import HeldObjects
from .hosted import Hosted
from .instruments import Instruments
from .nested import get_nested
from .objects import Objects
from .roles import limited_table
from .snapshot import portable_snapshot, snapshot_is_passive

__all__ = ["Dispatcher", "ServerControl"]

_BRING_TOGETHER: Final = frozenset((Op.CALL, Op.SET, Op.SET_ATTRIBUTE))
"""Operations that may leave one instrument holding another of this server."""


class ServerControl(Protocol):
    """What a request may ask of the server itself."""

    def status(self) -> dict[str, Any]:
        """Return what the server is and does."""

    def waits(self) -> list[Wait]:
        """Return the calls that wait for an instrument of this server and keep others waiting."""

    def is_used(self, asked: list[str]) -> bool:
        """Return whether anybody but the servers of these addresses uses it."""

    def extend_linger(self, linger: float | None) -> None:
        """Live at least ``linger`` seconds without clients."""

    def set_log_levels(self, session: str, levels: dict[str, int]) -> None:
        """Forward to a client what its loggers want."""

    def end_service(self) -> None:
        """Close the instruments, take no more clients, and give the name back."""

    def is_unused(self) -> bool:
        """Return whether there is no instrument and only one client."""

    def request_stop(self) -> None:
        """Have the process end soon."""

    def log(self, lines: int) -> str:
        """Return the end of the log file."""

    def listen(self, addresses: list[str], allow: list[str], insecure: bool) -> list[str]:
        """Listen at more addresses, and let clients on networks name more classes; return all addresses."""

    def check_tokens(self) -> int:
        """Cut the connections of clients whose token was made anew; return how many."""


class Dispatcher:
    """Carries out requests; any number of threads at the same time.

    Args:
        instruments: The server's instruments.
        control: The server itself.
        is_portable: Tells whether a value can travel.
        held: What stays here for the clients.
        objects: The served objects.
    """

    def __init__(
        self,
        instruments: Instruments,
        control: ServerControl,
        is_portable: Callable[[Any], bool],
        held: HeldObjects,
        objects: Objects,
    ) -> None:
        self._instruments = instruments
        self._target = instruments.target
        self._control = control
        self._is_portable = is_portable
        self._held = held
        self.meet = objects.meet
        self._viewer_table = objects.operations.viewer_table
        self.open_events = objects.open_events
        self._table: dict[str, Callable[..., list[Any]]] = {
            Op.GET: self._get,
            Op.SET: self._set,
            Op.VALIDATE: self._validate,
            Op.CACHE_GET: self._cache_get,
            Op.CACHE_STATE: self._cache_state,
            Op.CACHE_SET: self._cache_set,
            Op.CACHE_INVALIDATE: self._cache_invalidate,
            Op.CALL: self._call,
            Op.EACH: self._each,
            Op.ADD_PARAMETER: self._add_parameter,
            Op.PART: self._part,
            Op.SNAPSHOT: self._snapshot,
            Op.SNAPSHOTS: self._snapshots,
            Op.SCHEMA: self._schema,
            Op.CREATE: self._create,
            Op.CLOSE: self._close,
            Op.RESTART: self._restart,
            Op.INSTRUMENTS: self._list_instruments,
            Op.RECIPES: lambda caller, path: [0, instruments.recipes()],
            Op.STATUS: lambda caller, path: [0, control.status()],
            Op.WAITS: lambda caller, path: [0, [list(wait) for wait in control.waits()]],
            Op.IS_USED: lambda caller, path, asked: [0, control.is_used(asked)],
            Op.LINGER: self._linger,
            Op.SHARE: self._share,
            Op.LOG_LEVELS: self._log_levels,
            Op.STOP: self._stop,
            Op.STOP_IF_UNUSED: self._stop_if_unused,
            Op.LOG: lambda caller, path, lines: [0, control.log(lines)],
            Op.LISTEN: lambda caller, path, *wanted: [0, control.listen(*wanted)],
            Op.CHECK_TOKENS: lambda caller, path: [0, control.check_tokens()],
            **AttributeOperations(instruments.target, self._is_portable).table,
            **ChannelOperations(instruments, self._is_portable).table,
            **held.table,
            **objects.operations.table,
        }

    def limited_to(self, role: str) -> Dispatcher:
        """Return what carries out the requests of clients on a network who have a role."""
        limited = copy.copy(self)
        limited._table = limited_table(self._table, self._viewer_table, role)
        return limited

    def handle(self, caller: Caller, request: list[Any]) -> list[Any]:
        """Carry out one request and return the reply.

        Raises:
            Exception: Whatever the driver raised.
        """
        try:
            operation, path = request[0], request[1]
            handler = self._table[operation]
            # The caller takes the operation's place: to cut it off would copy the list, for 0.1 us.
            request[0] = caller
        except (TypeError, LookupError):
            raise UsageError(
                f"{str(request)[:80]} is not a request that this server knows; "
                f"install the same release of instrumentserver on both sides"
            ) from None
        if caller.met:
            self._bring_together(caller, operation, path)
        return handler(*request)

    def _bring_together(self, caller: Caller, operation: str, path: str) -> None:
        """Have an instrument and those that a request brings to it share a lock, if it may keep them."""
        if caller.incoming:
            for hosted in caller.met:
                # Sharing its lock, and whatever uses it here, would wait for it.
                caller.refuse_cycle(hosted, hosted.name)
        if operation in _BRING_TOGETHER:
            self._instruments.join_locks([*caller.met, self._instruments.find(path.partition(".")[0])])

    # Parameters

    def _get(self, caller: Caller, path: str, *arguments: Any) -> list[Any]:
        target = self._target(path)
        get = target.get
        if get is None:
            raise NotImplementedError(f"no get cmd found in Parameter {target.thing.name}")
        hosted = target.hosted
        caller.begin(hosted, Op.GET, path)
        try:
            value = get(*arguments)
        finally:
            caller.end()
        return [hosted.version.number, value]

    def _set(self, caller: Caller, path: str, value: Any, kwargs: dict[str, Any] | None = None) -> list[Any]:
        target = self._target(path)
        set_ = target.set
        if set_ is None:
            raise NotImplementedError(f"no set cmd found in Parameter {target.thing.name}")
        hosted = target.hosted
        caller.begin(hosted, Op.SET, path)
        try:
            if kwargs:
                set_(value, **kwargs)
            else:
                set_(value)
        finally:
            caller.end()
        return [hosted.version.number, None]

    def _validate(self, caller: Caller, path: str, *values: Any) -> list[Any]:
        target = self._target(path)
        if any(isinstance(validator, Arrays) for validator in target.thing.validators):
            # The shape may be what another parameter says.
            with caller.busy_with(target.hosted, Op.VALIDATE, path):
                target.thing.validate(*values)
        else:
            target.thing.validate(*values)
        return [target.hosted.version.number, None]

    def _cache_get(self, caller: Caller, path: str, get_if_invalid: bool) -> list[Any]:
        target = self._target(path)
        cache = target.thing.cache
        if get_if_invalid and not cache.valid:
            with caller.busy_with(target.hosted, Op.CACHE_GET, path):
                value = cache.get()
        else:
            value = cache.get(get_if_invalid=False)
        return [target.hosted.version.number, value]

    def _cache_state(self, caller: Caller, path: str) -> list[Any]:
        target = self._target(path)
        cache = target.thing.cache
        state = [cache.timestamp, cache.max_val_age, cache.valid]
        return [target.hosted.version.number, state]

    def _cache_set(self, caller: Caller, path: str, value: Any) -> list[Any]:
        target = self._target(path)
        with caller.busy_with(target.hosted, Op.CACHE_SET, path):
            target.thing.cache.set(value)
        return [target.hosted.version.number, None]

    def _cache_invalidate(self, caller: Caller, path: str) -> list[Any]:
        target = self._target(path)
        target.thing.cache.invalidate()
        return [target.hosted.version.number, None]

    # Any named thing

    def _call(
        self, caller: Caller, path: str, name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> list[Any]:
        target = self._target(path)
        with caller.busy_with(target.hosted, Op.CALL, f"{path}.{name}" if name else path):
            thing = target.thing
            method = get_nested(thing, name) if name else thing
            value = method(*args, **kwargs)
        return [target.hosted.version.number, self._held.form(caller, target.hosted, value)]

    def _each(self, caller: Caller, path: str, requests: list[list[Any]]) -> list[Any]:
        """Carry out several operations on one instrument in turn, with nobody else's in between."""
        hosted = self._instruments.find(path)
        values = []
        with caller.busy_with(hosted, Op.EACH, path):
            for operation, place, *arguments in requests:
                target = self._target(place)
                if target.hosted is not hosted:
                    raise UsageError(
                        f"{place} is no part of {path}, and cannot be used together with its parts"
                    )
                if operation == Op.GET:
                    values.append(target.thing.get(*arguments))
                elif operation == Op.SET:
                    values.append(target.thing.set(*arguments))
                elif operation == Op.CALL:
                    name, args, kwargs = arguments
                    method = get_nested(target.thing, name) if name else target.thing
                    method(*args, **kwargs)
                    # As in QCoDeS: a call of all channels returns nothing.
                    values.append(None)
                elif operation == Op.GET_ATTRIBUTE:
                    values.append(get_nested(target.thing, *arguments))
                else:
                    raise UsageError(f"{operation!r} cannot be carried out together with others")
        return [hosted.version.number, values]

    def _add_parameter(
        self, caller: Caller, path: str, name: str, class_name: str, kwargs: dict[str, Any]
    ) -> list[Any]:
        target = self._target(path)
        cls = find_class_text(class_name)
        if cls is None:
            raise NotPortable(
                f"{class_name} is not known on the server; define the parameter in the driver, "
                f"or have the driver import the class"
            )
        with caller.busy_with(target.hosted, Op.ADD_PARAMETER, f"{path}.{name}"):
            target.thing.add_parameter(name, parameter_class=cls, **kwargs)
        return [target.hosted.version.number, None]

    def _part(self, caller: Caller, path: str) -> list[Any]:
        target = self._target(path)
        with caller.busy_with(target.hosted, Op.PART, path):
            schema = describe_part(target.hosted, target.thing, path, self._is_portable, caller.address_of)
        return [target.hosted.version.number, schema]

    def _snapshot(
        self, caller: Caller, path: str, update: Any, base: dict[str, Any] | None = None
    ) -> list[Any]:
        target = self._target(path)
        if base is not None:
            with caller.busy_with(target.hosted, Op.SNAPSHOT, path):
                snapshot = target.thing.snapshot_base(**base)
            return [target.hosted.version.number, portable_snapshot(snapshot, self._is_portable)]
        if snapshot_is_passive(target.thing, update):
            try:
                snapshot = target.thing.snapshot(update=update)
                return [target.hosted.version.number, portable_snapshot(snapshot, self._is_portable)]
            except RuntimeError:
                pass  # A call that is under way changed the tree: wait for it.
        with caller.busy_with(target.hosted, Op.SNAPSHOT, path):
            snapshot = target.thing.snapshot(update=update)
        return [target.hosted.version.number, portable_snapshot(snapshot, self._is_portable)]

    def _snapshots(self, caller: Caller, path: str, paths: list[str], update: Any) -> list[Any]:
        """Take a snapshot of each path: ``[version, snapshot]``, or ``[0, None, failure]`` where it failed.

        What belongs to an instrument that is not there is left out.
        """
        replies: dict[str, list[Any]] = {}
        for each in paths:
            try:
                replies[each] = self._snapshot(caller, each, update)
            except Exception as error:  # noqa: BLE001  (the client raises it)
                if self._instruments.get(each.partition(".")[0]) is not None:
                    replies[each] = [0, None, dump_failure(error, caller.where)]
        return [0, replies]

    # Instruments

    def _schema(self, caller: Caller, path: str) -> list[Any]:
        hosted = self._instruments.find(path)
        return [hosted.version.number, self._describe(caller, hosted)]

    def _describe(self, caller: Caller, hosted: Hosted) -> InstrumentSchema:
        try:
            return describe_instrument(hosted, self._is_portable, caller.address_of)
        except RuntimeError:
            # A call that is under way changed the tree: wait for it.
            with caller.busy_with(hosted, Op.SCHEMA, hosted.name):
                return describe_instrument(hosted, self._is_portable, caller.address_of)

    def _create(
        self,
        caller: Caller,
        path: str,
        shipped: dict[str, Any],
        args: list[Any],
        kwargs: dict[str, Any],
        if_exists: str,
    ) -> list[Any]:
        with caller.busy(Op.CREATE, path):
            hosted, is_new = self._instruments.create(
                shipped, path, args, kwargs, if_exists=if_exists, beside=caller.met
            )
        try:
            return [hosted.version.number, [self._describe(caller, hosted), is_new]]
        except BaseException:
            if is_new:
                self._instruments.close(hosted.name, "could not be described, and was closed")
            raise

    def _close(self, caller: Caller, path: str) -> list[Any]:
        hosted = self._instruments.get(path)
        if hosted is not None:
            caller.refuse_cycle(hosted, path)
        with caller.busy(Op.CLOSE, path):
            self._instruments.close(path, f"was closed by {caller.who}")
        return [0, None]

    def _restart(self, caller: Caller, path: str) -> list[Any]:
        hosted = self._instruments.find(path)
        with caller.busy_with(hosted, Op.RESTART, path):
            self._instruments.restart(path)
        return [hosted.version.number, describe_instrument(hosted, self._is_portable, caller.address_of)]

    def _list_instruments(self, caller: Caller, path: str) -> list[Any]:
        return [0, [hosted.name for hosted in self._instruments]]

    # The server

    def _linger(self, caller: Caller, path: str, linger: float | None) -> list[Any]:
        self._control.extend_linger(linger)
        return [0, None]

    def _share(self, caller: Caller, path: str, values: dict[str, Any]) -> list[Any]:
        self._instruments.shared.bring(values, caller.met)
        return [0, None]

    def _log_levels(self, caller: Caller, path: str, levels: dict[str, int]) -> list[Any]:
        self._control.set_log_levels(caller.session, levels)
        return [0, None]

    def _stop(self, caller: Caller, path: str) -> list[Any]:
        with caller.busy(Op.STOP, path):
            self._control.end_service()
        caller.after_reply = self._control.request_stop
        return [0, None]

    def _stop_if_unused(self, caller: Caller, path: str) -> list[Any]:
        is_unused = self._control.is_unused()
        return self._stop(caller, path) if is_unused else [0, None]
