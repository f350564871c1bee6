"""Who on a network may ask for what. Clients on the server's own computer, of its own user, may ask for everything.

The table is closed: an operation that is not in it is refused to everybody on a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.errors import NotAllowed
from instrumentserver.transport.keys import ROLES
from instrumentserver.wire.messages import Op

from .nested import check_public

if TYPE_CHECKING:
    from .caller import Caller

__all__ = ["LOCAL", "ROLE_OF", "limited_table"]

LOCAL: Final = "local"
"""The role of the server's own user on its own computer, which no token gives."""

_VIEWER, _OPERATOR, _ADMIN = ROLES

ROLE_OF: Final[Mapping[str, str]] = {
    # What reads. Reading may ask the hardware.
    Op.GET: _VIEWER,
    Op.VALIDATE: _VIEWER,
    Op.CACHE_GET: _VIEWER,
    Op.CACHE_STATE: _VIEWER,
    Op.GET_ATTRIBUTE: _VIEWER,
    Op.SNAPSHOT: _VIEWER,
    Op.SNAPSHOTS: _VIEWER,
    Op.PART: _VIEWER,
    Op.EACH: _VIEWER,  # Of a viewer's only those that read; see below.
    Op.CHANNELS: _VIEWER,
    Op.READ_CHANNELS: _VIEWER,
    Op.SCHEMA: _VIEWER,
    Op.INSTRUMENTS: _VIEWER,
    Op.STATUS: _VIEWER,
    Op.WAITS: _VIEWER,
    Op.IS_USED: _VIEWER,
    Op.LOG_LEVELS: _VIEWER,
    Op.OBJECT_CALL: _VIEWER,  # Of a viewer's only those that whoever served the object said to read.
    Op.OBJECT_GET: _VIEWER,
    Op.OBJECT_CANCEL: _VIEWER,
    Op.OBJECT_CLASS: _VIEWER,
    Op.OBJECT_FIND: _VIEWER,
    Op.OBJECT_HOLD: _VIEWER,
    Op.OBJECT_RELEASE: _VIEWER,
    Op.OBJECT_LIST: _VIEWER,
    # What changes
    Op.SET: _OPERATOR,
    Op.CACHE_SET: _OPERATOR,
    Op.CACHE_INVALIDATE: _OPERATOR,
    Op.CALL: _OPERATOR,
    Op.SET_ATTRIBUTE: _OPERATOR,
    Op.DELETE_ATTRIBUTE: _OPERATOR,
    Op.WRITE_CHANNELS: _OPERATOR,
    Op.STEP: _OPERATOR,
    Op.ENTER: _OPERATOR,
    Op.EXIT: _OPERATOR,
    Op.RELEASE: _OPERATOR,
    Op.OBJECT_SET: _OPERATOR,
    Op.OBJECT_DELETE: _OPERATOR,
    Op.OBJECT_FREE: _OPERATOR,  # By force only an administrator; see below.
    Op.LOG: _OPERATOR,
    # What makes and ends
    Op.ADD_PARAMETER: _ADMIN,
    Op.CREATE: _ADMIN,
    Op.CLOSE: _ADMIN,
    Op.RESTART: _ADMIN,
    Op.LINGER: _ADMIN,
    Op.SHARE: _ADMIN,
    Op.SERVE: _ADMIN,
    Op.UNSERVE: _ADMIN,
    Op.STOP: _ADMIN,
    Op.STOP_IF_UNUSED: _ADMIN,
    # What concerns the server's own user
    Op.RECIPES: LOCAL,
    Op.LISTEN: LOCAL,
    Op.CHECK_TOKENS: LOCAL,
}

_READS: Final = frozenset((Op.GET, Op.GET_ATTRIBUTE))
_STEPS: Final = ("next", "send", "throw", "close")
_ENDING: Final = frozenset(
    (
        *("close", "close_all", "remove_instance", "record_instance"),
        *("add_parameter", "remove_parameter", "add_function", "add_submodule"),
    )
)
"""Methods of QCoDeS's instruments that make and end: what goes past the operations for that."""

Handler = Callable[..., list[Any]]


def limited_table(
    table: Mapping[str, Handler], viewer_table: Mapping[str, Handler], role: str
) -> dict[str, Handler]:
    """Return the operations for clients on a network.

    Args:
        table: The operations as local clients have them.
        viewer_table: Those that viewers have in another form.
        role: The role.
    """
    may = ROLES[: ROLES.index(role) + 1] if role in ROLES else ()
    limited = {}
    for operation, handler in table.items():
        if ROLE_OF.get(operation) not in may:
            limited[operation] = _refusing(operation, role)
            continue
        own = viewer_table.get(operation, handler) if role == _VIEWER else handler
        wrap = _WRAPPED.get(operation)
        limited[operation] = own if wrap is None else wrap(own, role)
    return limited


def _refusing(operation: str, role: str) -> Handler:
    least = ROLE_OF.get(operation, LOCAL)

    def refuse(caller: Caller, *arguments: Any) -> list[Any]:
        raise NotAllowed(_refusal(operation, least, role))

    return refuse


def _refusal(what: str, least: str, role: str) -> str:
    if least == LOCAL:
        return f"{what} is for the server's user on its own computer; it cannot be done over a network"
    return (
        f"{what} takes the role {least}, and this connection has the role {role}; ask the server's owner for that "
        f"token (instrumentserver token show NAME --role {least})"
    )


# What is refused to some only in part


def _with_name(handler: Handler, role: str) -> Handler:
    """Have an operation on something by name take public names only."""

    def carry_out(caller: Caller, path: str, name: str, *arguments: Any) -> list[Any]:
        check_public(name)
        return handler(caller, path, name, *arguments)

    return carry_out


def _with_method(handler: Handler, role: str) -> Handler:
    """Have a call take public names only, and those that make and end from an administrator only."""

    def carry_out(caller: Caller, path: str, name: str, *arguments: Any) -> list[Any]:
        _check_method(name, role)
        return handler(caller, path, name, *arguments)

    return carry_out


def _check_method(name: str, role: str) -> None:
    check_public(name)
    last = name.rpartition(".")[2]
    if last in _ENDING and role != _ADMIN:
        raise NotAllowed(_refusal(last, _ADMIN, role))


def _with_step(handler: Handler, role: str) -> Handler:
    """Have an iterator only be gone on with, by the methods that are for that."""

    def carry_out(caller: Caller, path: str, method: str, *arguments: Any) -> list[Any]:
        if method not in _STEPS:
            raise NotAllowed(f"{method!r} is no way to go on with a generator")
        return handler(caller, path, method, *arguments)

    return carry_out


def _with_requests(handler: Handler, role: str) -> Handler:
    """Have each of several operations be what the role allows."""

    def carry_out(caller: Caller, path: str, requests: list[list[Any]]) -> list[Any]:
        for operation, _, *arguments in requests:
            if role == _VIEWER and operation not in _READS:
                raise NotAllowed(_refusal(str(operation), _OPERATOR, role))
            if operation == Op.CALL:
                _check_method(arguments[0], role)
            elif operation == Op.GET_ATTRIBUTE:
                check_public(arguments[0])
        return handler(caller, path, requests)

    return carry_out


def _with_class(handler: Handler, role: str) -> Handler:
    """Have an instrument be made of a class on the server's list only, by name."""

    def carry_out(caller: Caller, path: str, shipped: dict[str, Any], *arguments: Any) -> list[Any]:
        if "payload" in shipped:
            raise NotAllowed(
                "a class cannot be sent over a network; put it into a module that the server can import"
            )
        name = caller.allowed.find_instrument(shipped.get("name"))
        return handler(caller, path, {"name": name, "file": None, "sys_path": []}, *arguments)

    return carry_out


def _with_parameter_class(handler: Handler, role: str) -> Handler:
    def carry_out(caller: Caller, path: str, name: str, class_name: str, *arguments: Any) -> list[Any]:
        caller.allowed.check_parameter(class_name)
        return handler(caller, path, name, class_name, *arguments)

    return carry_out


def _without_force(handler: Handler, role: str) -> Handler:
    """Have an object that others use be freed by an administrator only."""

    def carry_out(caller: Caller, path: str, is_forced: bool, *arguments: Any) -> list[Any]:
        if is_forced and role != _ADMIN:
            raise NotAllowed(_refusal("freeing by force", _ADMIN, role))
        return handler(caller, path, is_forced, *arguments)

    return carry_out


_WRAPPED: Final[Mapping[str, Callable[[Handler, str], Handler]]] = {
    Op.GET_ATTRIBUTE: _with_name,
    Op.SET_ATTRIBUTE: _with_name,
    Op.DELETE_ATTRIBUTE: _with_name,
    Op.CALL: _with_method,
    Op.EACH: _with_requests,
    Op.STEP: _with_step,
    Op.CREATE: _with_class,
    Op.ADD_PARAMETER: _with_parameter_class,
    Op.OBJECT_FREE: _without_force,
}
