"""Every error class of the project, in one tree.

::

    InstrumentServerError
    ├── UsageError (ValueError)            you erred: a bad argument, a bad name
    │   ├── NotPortable (TypeError)        a value that has no form on the wire
    │   ├── NotAllowed (PermissionError)   somebody on a network may not do that
    │   ├── ObjectInUse (RuntimeError)     others use the object, too, or one uses it alone
    │   └── UnknownName (LookupError)      no such server, instrument, parameter or object
    │       └── ObjectFreed                somebody has freed the object
    ├── ProtocolError                      the peer erred: bytes that no peer of ours sends
    │   └── VersionMismatch                the peer speaks another version of the protocol
    ├── ConnectFailed (ConnectionError)    nobody listens there, or he refuses us
    ├── ServerLost (ConnectionError)       the server died, or the line was cut, during a call
    ├── ClientLost (ConnectionError)       a client whose function a server calls has gone
    ├── CallTimeout (TimeoutError)         a time limit set by the caller ran out
    ├── CallCycle (RuntimeError)           a chain of calls came back to an instrument that waits for it
    └── RemoteError (RuntimeError)         a driver's own error, of a class that this process does not have

Errors that a driver raises arrive with the class they had on the server wherever this process
has imported that class; see `instrumentserver.wire.failures`.
"""

from __future__ import annotations

__all__ = [
    "CallCycle",
    "CallTimeout",
    "ClientLost",
    "ConnectFailed",
    "InstrumentServerError",
    "NotAllowed",
    "NotPortable",
    "ObjectFreed",
    "ObjectInUse",
    "ProtocolError",
    "RemoteError",
    "ServerLost",
    "UnknownName",
    "UsageError",
    "VersionMismatch",
]


class InstrumentServerError(Exception):
    """Base class of everything that this project raises by itself."""


class UsageError(InstrumentServerError, ValueError):
    """The caller asked for something that cannot be; the message says what can."""


class NotPortable(UsageError, TypeError):
    """A value has no form in which it could travel between processes."""


class NotAllowed(UsageError, PermissionError):
    """A client on a network asked for what his role, or the server's list, does not allow; nothing was done."""


class UnknownName(UsageError, LookupError):
    """There is no server, instrument, parameter, attribute or object of that name."""


class ObjectFreed(UnknownName):
    """Somebody has freed the object; the message says who, when and how."""


class ObjectInUse(UsageError, RuntimeError):
    """Others use the object, who are named: it is not freed, or not to be used beside them."""


class ProtocolError(InstrumentServerError):
    """The peer sent bytes that no peer of ours sends; the connection is closed."""


class VersionMismatch(ProtocolError):
    """The peer speaks another version of the wire protocol."""


class ConnectFailed(InstrumentServerError, ConnectionError):
    """No connection came about: nobody listens there, or the token was refused."""


class ServerLost(InstrumentServerError, ConnectionError):
    """The server went away while a call was under way.

    The call may or may not have been executed; it is never sent a second time.
    """


class ClientLost(InstrumentServerError, ConnectionError):
    """A client has gone whose function something on the server calls; raised there, in who calls it."""


class CallTimeout(InstrumentServerError, TimeoutError):
    """A time limit that the caller had set ran out; the server finishes the call by itself."""


class CallCycle(InstrumentServerError, RuntimeError):
    """A chain of calls came back to an instrument that is waiting for that very chain."""


class RemoteError(InstrumentServerError, RuntimeError):
    """An error of a class that this process has not imported.

    Attributes:
        class_name: Module and name of the class on the server, ``package.module.Name``.
    """

    def __init__(self, message: str = "", class_name: str = "") -> None:
        super().__init__(message, class_name)
        self.class_name = class_name

    def __str__(self) -> str:
        message, class_name = (*self.args, "", "")[:2]
        return f"{class_name}: {message}" if class_name else str(message)
