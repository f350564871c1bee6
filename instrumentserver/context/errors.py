"""Errors of the channel client.

::

    CallTimeout
    └── ChannelTimeout              no server with that parameter, or no answer, in time; a `TimeoutError`
    InstrumentServerError
    └── ContextDisconnectedError    its Context was disconnected: it is of no use any more
    ServerLost = DisconnectedError  the server went away during a write, which may have been carried out

A name that cannot be and data that have no meaning for a channel raise `UsageError`, a `ValueError`. What a driver
raises, such as the `ValueError` of a validator, arrives as it is.
"""

from __future__ import annotations

from instrumentserver.errors import CallTimeout, InstrumentServerError, ServerLost

__all__ = ["ChannelTimeout", "ContextDisconnectedError", "DisconnectedError"]


class ChannelTimeout(CallTimeout):
    """A parameter was not found on any server, or its server did not answer, in the time given."""


class ContextDisconnectedError(InstrumentServerError, RuntimeError):
    """The Context was disconnected, or was made before this process was forked."""


DisconnectedError = ServerLost
