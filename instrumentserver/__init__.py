"""QCoDeS instruments in server processes, and proxies that QCoDeS cannot tell from the real thing."""

from .client import RemoteInstrument, Subscription, time_limit, wait_until
from .errors import (
    CallCycle,
    CallTimeout,
    ConnectFailed,
    InstrumentServerError,
    NotPortable,
    ProtocolError,
    RemoteError,
    ServerLost,
    UnknownName,
    UsageError,
)
from .instrument import Instrument
from .objects import Proxy
from .process import (
    Server,
    connect,
    find_instrument,
    find_or_create_instrument,
    list_servers,
    start_server,
    stop_server,
)
from .station import Station

__all__ = [
    "CallCycle",
    "CallTimeout",
    "ConnectFailed",
    "Instrument",
    "InstrumentServerError",
    "NotPortable",
    "ProtocolError",
    "Proxy",
    "RemoteError",
    "RemoteInstrument",
    "Server",
    "ServerLost",
    "Station",
    "Subscription",
    "UnknownName",
    "UsageError",
    "connect",
    "find_instrument",
    "find_or_create_instrument",
    "list_servers",
    "start_server",
    "stop_server",
    "time_limit",
    "wait_until",
]
