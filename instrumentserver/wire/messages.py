"""What the two sides say to each other: requests and replies.

A request is a list ``[operation, path, *arguments]``. The path names an instrument, module, channel,
parameter or function of the server (``dac.ch1.v``), or nothing (``""``) where the server itself is meant.
A request that a server makes while it is carrying out another one is wrapped:
``[CHAINED, chain, operation, path, *arguments]``; see `instrumentserver.transport.chain`.

A reply is a list ``[version, value]``, or ``[version, value, printed]`` where the driver printed something,
or ``[version, None, printed, failure]`` where it raised. The version counts the changes of the
instrument's tree (parameters, functions, submodules), so that a proxy notices them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CALLBACK_CODE", "CHAINED", "CODE_CODE", "HANDLE_CODE", "OBJECT_CODE", "PROTOCOL_VERSION", "Op"]

PROTOCOL_VERSION: Final = 1
"""Both sides say it in their first bytes; they must agree."""

CHAINED: Final = "chained"

HANDLE_CODE: Final = 32
"""Extension code of a handle: the address of something that lives on a server, as text."""

OBJECT_CODE: Final = 40
"""Extension code of an object that stays on the server which sends this: ``[place, class number, serial number]``.

The place is an address; one that begins with ``/`` is a path on the server itself. Serial numbers grow with each
handle that a server sends: by them both sides know which handles the client has.
"""

CALLBACK_CODE: Final = 41
"""Extension code of a function of a client that a server may call."""

CODE_CODE: Final = 42
"""Extension code of a function or class of a local client: ``[pickled, folders]``."""


class Op:
    """The operations that a server knows."""

    # A parameter
    GET: Final = "get"
    SET: Final = "set"
    VALIDATE: Final = "validate"
    CACHE_GET: Final = "cache_get"
    CACHE_STATE: Final = "cache_state"
    CACHE_SET: Final = "cache_set"
    CACHE_INVALIDATE: Final = "cache_invalidate"
    # Any named thing
    CALL: Final = "call"
    GET_ATTRIBUTE: Final = "get_attribute"
    SET_ATTRIBUTE: Final = "set_attribute"
    DELETE_ATTRIBUTE: Final = "delete_attribute"
    SNAPSHOT: Final = "snapshot"
    SNAPSHOTS: Final = "snapshots"
    # A module
    PART: Final = "part"
    ADD_PARAMETER: Final = "add_parameter"
    EACH: Final = "each"
    # Channels: parameters by name
    CHANNELS: Final = "channels"
    READ_CHANNELS: Final = "read_channels"
    WRITE_CHANNELS: Final = "write_channels"
    # Something that a call returned and that stays on the server
    STEP: Final = "step"
    ENTER: Final = "enter"
    EXIT: Final = "exit"
    RELEASE: Final = "release"
    # A served object, or one that a call on it returned
    OBJECT_CALL: Final = "object_call"
    OBJECT_GET: Final = "object_get"
    OBJECT_SET: Final = "object_set"
    OBJECT_DELETE: Final = "object_delete"
    OBJECT_CANCEL: Final = "object_cancel"
    OBJECT_CLASS: Final = "object_class"
    OBJECT_FIND: Final = "object_find"
    OBJECT_HOLD: Final = "object_hold"
    OBJECT_RELEASE: Final = "object_release"
    OBJECT_FREE: Final = "object_free"
    OBJECT_LIST: Final = "object_list"
    SERVE: Final = "serve"
    UNSERVE: Final = "unserve"
    # An instrument
    SCHEMA: Final = "schema"
    CREATE: Final = "create"
    CLOSE: Final = "close"
    RESTART: Final = "restart"
    # The server
    INSTRUMENTS: Final = "instruments"
    RECIPES: Final = "recipes"
    STATUS: Final = "status"
    WAITS: Final = "waits"
    IS_USED: Final = "is_used"
    LINGER: Final = "linger"
    SHARE: Final = "share"
    LOG_LEVELS: Final = "log_levels"
    STOP: Final = "stop"
    STOP_IF_UNUSED: Final = "stop_if_unused"
    LOG: Final = "log"
    LISTEN: Final = "listen"
    CHECK_TOKENS: Final = "check_tokens"
