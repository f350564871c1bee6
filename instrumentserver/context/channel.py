"""Channels: what a PV is connected with."""

from __future__ import annotations

import enum
from typing import NamedTuple

from instrumentserver.schema import ChannelSchema, ChannelType

from .circuit import VirtualCircuitManager

__all__ = ["AccessRights", "Channel"]


class AccessRights(enum.IntFlag):
    """What can be done with a PV."""

    NO_ACCESS = 0
    READ = 1
    WRITE = 2


class Channel(NamedTuple):
    """What a PV is connected with.

    Attributes:
        name: The PV's name.
        circuit: On which server.
        schema: What the parameter is there.
    """

    name: str
    circuit: VirtualCircuitManager
    schema: ChannelSchema

    @property
    def native_data_type(self) -> ChannelType:
        """The type of its data."""
        return ChannelType(self.schema.type)

    @property
    def native_data_count(self) -> int:
        """Most elements of its data; 0 if nobody knows before it is read."""
        return self.schema.count

    @property
    def access_rights(self) -> AccessRights:
        """What can be done with it."""
        # What can only be set reads as what it was set to.
        rights = AccessRights.READ if self.schema.gettable or self.schema.settable else AccessRights.NO_ACCESS
        return rights | AccessRights.WRITE if self.schema.settable else rights
