"""The channel client: parameters by name, read, written and subscribed to, as users of EPICS know it."""

from instrumentserver.schema import ChannelType

from .batch import Batch
from .channel import AccessRights
from .circuit import VirtualCircuitManager
from .context import CONTEXT_DEFAULT_TIMEOUT, Context
from .endpoint import PV_DEFAULT_TIMEOUT
from .errors import ChannelTimeout, ContextDisconnectedError, DisconnectedError
from .pv import PV
from .response import (
    AlarmSeverity,
    EventAddResponse,
    Metadata,
    ReadNotifyResponse,
    StatusCode,
    WriteNotifyResponse,
)
from .search import SharedBroadcaster
from .subscription import Subscription

__all__ = [
    "CONTEXT_DEFAULT_TIMEOUT",
    "PV",
    "PV_DEFAULT_TIMEOUT",
    "AccessRights",
    "AlarmSeverity",
    "Batch",
    "ChannelTimeout",
    "ChannelType",
    "Context",
    "ContextDisconnectedError",
    "DisconnectedError",
    "EventAddResponse",
    "Metadata",
    "ReadNotifyResponse",
    "SharedBroadcaster",
    "StatusCode",
    "Subscription",
    "VirtualCircuitManager",
    "WriteNotifyResponse",
]
