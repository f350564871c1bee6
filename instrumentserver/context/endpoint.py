"""Endpoints: what connects a PV, tells of it, and lets it rest."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema, refine

from .callbacks import CallbackHandler
from .channel import AccessRights, Channel
from .circuit import VirtualCircuitManager
from .errors import ChannelTimeout
from .log import OwnLevel
from .names import ChannelName
from .operation import Lane

if TYPE_CHECKING:
    from .context import Context
    from .subscription import Subscription, SubscriptionKey

__all__ = ["PV_DEFAULT_TIMEOUT", "Endpoint"]

logger = logging.getLogger("instrumentserver.ch")

PV_DEFAULT_TIMEOUT: Final[Any] = object()
"""As a time limit: that of the PV."""


class Endpoint:
    """A parameter by name that connects in the background, and again whenever its server comes back.

    Args:
        name: Its name.
        priority: The priority of its circuit.
        context: Whose it is.
        timeout: The time limit of operations that give none, seconds; None for none.

    Attributes:
        name: Its name, as it was asked for.
        priority: The priority of its circuit.
        context: Whose it is.
        timeout: The time limit of operations that give none, seconds; None for none. May be assigned.
        circuit_manager: Its circuit, None before it was connected first.
        subscriptions: Its subscriptions, by what they tell.
        is_idle: Whether it was sent to rest, until it is used.
    """

    __slots__ = (
        *("__weakref__", "_channel", "_idle_wanted", "_lane", "_log", "_name", "_operations"),
        *("_rights_callback", "_state", "_state_callback", "circuit_manager", "context", "is_idle"),
        *("name", "priority", "subscriptions", "timeout"),
    )

    def __init__(self, name: ChannelName, priority: int, context: Context, timeout: float | None) -> None:
        self.name = name.text
        self.priority = priority
        self.context = context
        self.timeout = timeout
        self.circuit_manager: VirtualCircuitManager | None = None
        self.subscriptions: dict[SubscriptionKey, Subscription] = {}
        self.is_idle = False
        self._name = name
        self._channel: Channel | None = None
        self._state: str | None = None
        self._operations: list[None] = []
        self._idle_wanted: list[None] = []
        # Most PVs of many need none of these.
        self._lane: Lane | None = None
        self._log: OwnLevel | None = None
        self._rights_callback: CallbackHandler | None = None
        self._state_callback: CallbackHandler | None = None

    # What it is

    @property
    def connected(self) -> bool:
        """Whether the parameter is there."""
        return self._channel is not None

    @property
    def channel(self) -> Channel | None:
        """What it is connected with, None if it is not."""
        return self._channel

    @property
    def access_rights(self) -> AccessRights | None:
        """What can be done with it, None if it is not connected."""
        channel = self._channel
        return None if channel is None else channel.access_rights

    @property
    def path(self) -> str:
        """The path of the parameter on its server, or what it is searched by."""
        channel = self._channel
        return self._name.path if channel is None else channel.schema.path

    @property
    def place(self) -> str:
        """Where it is, for people."""
        manager = self.circuit_manager
        return "no server" if manager is None else manager.circuit.address

    @property
    def log(self) -> OwnLevel:
        """Its log, ``instrumentserver.ch``; a level set here concerns this PV alone."""
        if self._log is None:
            extra = {"pv": self.name, "role": "CLIENT", "our_address": f"pid:{os.getpid()}"}
            self._log = OwnLevel(logger, {**extra, "their_address": None, "direction": ""})
        if self._log.extra is not None and self.circuit_manager is not None:
            self._log.extra = {**self._log.extra, "their_address": self.place}
        return self._log

    @property
    def has_log(self) -> bool:
        """Whether its log would be seen: whether it was asked for, or all are on."""
        return self._log is not None or logger.isEnabledFor(logging.DEBUG)

    @property
    def connection_state_callback(self) -> CallbackHandler:
        """Functions ``f(pv, state)``, the state "connected" or "disconnected"."""
        if self._state_callback is None:
            self._state_callback = CallbackHandler(self, lambda: self._state)
        return self._state_callback

    @property
    def access_rights_callback(self) -> CallbackHandler:
        """Functions ``f(pv, access_rights)``, called when the rights are known or change."""
        if self._rights_callback is None:
            self._rights_callback = CallbackHandler(self, lambda: self.access_rights)
        return self._rights_callback

    def time_since_last_heard(self) -> float:
        """Return how long ago its server said anything, seconds.

        Raises:
            ChannelTimeout: It does not connect within its time limit.
        """
        return self._connected_channel(PV_DEFAULT_TIMEOUT, "connection").circuit.time_since_last_heard()

    # Connecting

    def wait_for_search(self, *, timeout: float | None = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until a server with the parameter was found.

        Args:
            timeout: How long, seconds; None for ever.

        Raises:
            ChannelTimeout: None was.
        """
        self._connected_channel(timeout, "search")

    def wait_for_connection(self, *, timeout: float | None = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until it is connected; an idle one connects.

        Args:
            timeout: How long, seconds; None for ever.

        Raises:
            ChannelTimeout: It is not.
        """
        self._connected_channel(timeout, "connection")

    def go_idle(self) -> None:
        """Rest until it is used again: ask nothing of the server and do not keep it alive.

        A request only: a PV with subscriptions that have callbacks, and one that is being connected, goes on. What
        is under way is finished first.
        """
        if self._channel is None or any(each.is_wanted for each in self.subscriptions.values()):
            return
        self._idle_wanted.append(None)
        try:
            self.context.wait_until(lambda: not (self._operations or self._is_lane_busy()), None)
            self.context.rest(self)
        finally:
            self._idle_wanted.pop()

    def wake(self) -> None:
        """Connect again if it is idle. Never blocks."""
        self.context.check_usable()
        if self.is_idle:
            self.context.wake(self)

    def wait_for_channel(self, deadline: float | None, timeout: float | None, what: str) -> Channel:
        """Return what it is connected with, when it is.

        Args:
            deadline: Until when, by `time.monotonic`; None for ever.
            timeout: How long that was in all, seconds, for the message.
            what: What for, for the message.

        Raises:
            ChannelTimeout: The time ran out.
            ContextDisconnectedError: The Context was disconnected.
        """
        channel = self._channel
        if channel is not None:
            return channel
        self.wake()
        left = None if deadline is None else deadline - time.monotonic()
        self.context.wait_until(lambda: self._channel is not None, left)
        channel = self._channel
        if channel is None:
            raise ChannelTimeout(self.context.why_not(self, what, timeout or 0.0))
        return channel

    def _connected_channel(self, timeout: Any, what: str) -> Channel:
        limit = self._limit(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        return self.wait_for_channel(deadline, limit, what)

    def _limit(self, timeout: Any) -> float | None:
        limit: float | None = self.timeout if timeout is PV_DEFAULT_TIMEOUT else timeout
        if limit is not None and not limit >= 0:
            raise UsageError(
                f"{self.name}: timeout={limit!r} is no time; give seconds, 0 or more, or None for ever"
            )
        return limit

    # What is under way

    def has_rested(self) -> None:
        """Tell one who waits for the end of what is under way that something ended."""
        if self._idle_wanted:
            self.context.tell_news()

    def _is_lane_busy(self) -> bool:
        return self._lane is not None and self._lane.is_busy

    @property
    def lane(self) -> Lane:
        """Its operations that nobody waits for."""
        with self.context.guard:
            if self._lane is None:
                self._lane = Lane()
            return self._lane

    def schema_for(self, value: Any) -> ChannelSchema:
        """Return what is known about the parameter, given a value of it."""
        channel = self._channel
        return refine(ChannelSchema(self.path, is_guessed=True) if channel is None else channel.schema, value)

    # For the Context, which holds its guard

    def set_channel(self, channel: Channel | None) -> None:
        """Be connected with something, or with nothing."""
        self._channel = channel
        if channel is not None:
            self._state = "connected"
        elif self._state is not None:
            self._state = "disconnected"

    def tell_state(self) -> None:
        """Tell those who asked for it whether it is connected. Never blocks."""
        if self._state_callback is not None and self._state is not None:
            self._state_callback.tell(self._state)

    def tell_access_rights(self) -> None:
        """Tell those who asked for it what can be done with it. Never blocks."""
        if self._rights_callback is not None and self._channel is not None:
            self._rights_callback.tell(self._channel.access_rights)

    def refine(self, value: Any) -> None:
        """Remember of which type its values are, where that was a guess."""
        channel = self._channel
        if channel is not None:
            self._channel = channel._replace(schema=refine(channel.schema, value))

    @property
    def search_name(self) -> ChannelName:
        """What it is searched by."""
        return self._name

    def __repr__(self) -> str:
        channel = self._channel
        if channel is not None:
            state = (
                f"address={channel.circuit.circuit.address!r}, circuit_state=States.CONNECTED, "
                f"channel_state=States.CONNECTED"
            )
        else:
            state = "(idle)" if self.is_idle else "(searching....)"
        return f"<PV name={self.name!r} priority={self.priority} {state}>"
