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

__all__ = ["CHAINED", "HANDLE_CODE", "PROTOCOL_VERSION", "Op"]

PROTOCOL_VERSION: Final = 1
"""Both sides say it in their first bytes; they must agree."""

CHAINED: Final = "chained"

HANDLE_CODE: Final = 32
"""Extension code of a handle: the address of something that lives on a server, as text."""


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
