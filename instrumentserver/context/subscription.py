"""Subscriptions to PVs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentserver.client import subscription as client
from instrumentserver.client.callbacks import takes_two
from instrumentserver.client.inbox import Loop
from instrumentserver.client.subscription import Update
from instrumentserver.schema import SubscribeOptions

from .data_types import Wanted
from .log import OwnLevel
from .response import EventAddResponse

if TYPE_CHECKING:
    from .channel import Channel
    from .pv import PV

__all__ = ["Subscription", "SubscriptionKey"]


class SubscriptionKey(NamedTuple):
    """What makes two subscriptions of a PV the same one.

    Attributes:
        wanted: The type that is wanted.
        most: Most elements that are wanted; None and 0 for all.
        options: How to be told.
        unused: Arguments of Channel Access without effect here: low, high, to, mask.
    """

    wanted: Wanted
    most: int | None
    options: SubscribeOptions
    unused: tuple[float, float, float, Any]


class Subscription(client.Subscription):
    """Tells of a PV's changes; made by `PV.subscribe`.

    Callbacks are ``f(sub, response)``, or ``f(response)`` as in old programs, held weakly. See
    `instrumentserver.client.subscription.Subscription`, of which this has all methods: what it tells is an
    `EventAddResponse` instead of an `Update`.

    Args:
        pv: The PV.
        key: What is wanted.

    Attributes:
        pv: The PV.
        log: As that of the PV.
    """

    def __init__(self, pv: PV, key: SubscriptionKey) -> None:
        super().__init__(key.options, pv.name)
        self.pv = pv
        self._key = key
        self._where: tuple[str, str] | None = None

    @property
    def log(self) -> OwnLevel:
        """The log of the PV."""
        return self.pv.log

    @property
    def subscriptionid(self) -> int | None:
        """What the server calls it, None while nothing is asked of the server."""
        return self._number or None

    @property
    def most_recent_response(self) -> EventAddResponse | None:
        """The latest response, None before the first."""
        update = self.most_recent
        return None if update is None else self._present(update)

    def add_callback(self, function: Callable[..., Any]) -> int:
        """Have a function be called with each update: ``function(subscription, response)``.

        It is held weakly: the caller has to keep it. The first one starts the subscription, and connects the PV if
        it is idle. A further one is called with the latest response at once, in this thread.

        Returns:
            A token for `remove_callback`: 0, 1, 2 ...

        Raises:
            TypeError: It cannot be called.
        """
        if callable(function) and not takes_two(function):
            warnings.warn(
                f"a callback of a subscription takes two arguments now, function(subscription, response); "
                f"{function!r} takes the response only, which works all the same",
                UserWarning,
                stacklevel=2,
            )
        return super().add_callback(function)

    @property
    def is_wanted(self) -> bool:
        """Whether there are callbacks, or loops that wait for updates."""
        return bool(self.callbacks) or any(isinstance(inbox, Loop) for inbox in list(self._inboxes.values()))

    def follow(self, channel: Channel) -> None:
        """Be told of the PV where it is now, if anybody wants to be told. May block for a time."""
        session, path = channel.circuit.session, channel.schema.path
        with self._switching:
            if self._where == (session.address, path):
                return
            if self._where is not None:
                self.unbind(f"it is on {session.address} now")
            self._where = session.address, path
            self.bind(session, path)
        channel.circuit.hold_if_off(self)

    def unbind(self, reason: str) -> None:
        """Be told of nothing until `follow`; the callbacks stay."""
        with self._switching:
            self._where = None
            super().unbind(reason)

    def _open(self) -> None:
        """Ask the server for updates; connect the PV first, if it is idle."""
        if self._where is None:
            self.pv.wake()
            channel = self.pv.channel
            if channel is not None:
                self.follow(channel)
        super()._open()

    def _present(self, update: Update) -> EventAddResponse:
        return EventAddResponse(self.pv.schema_for(update.value), update, self._key.wanted, self._key.most)

    def _call(self, function: Callable[..., Any], takes_subscription: bool, update: Update) -> None:
        try:
            response = self._present(update)
        except Exception as error:  # noqa: BLE001  (whatever is wrong with it, the next one may be right)
            self.log.warning("an update cannot be shown: %s", error)
            return
        if self.pv.has_log and self.log.isEnabledFor(logging.DEBUG):
            self.log.debug("update %r", response, extra={"direction": "<<<---"})
        try:
            if takes_subscription:
                function(self, response)
            else:
                function(response)
        except Exception:
            self.log.exception("callback %r failed", function)

    def __repr__(self) -> str:
        return f"<Subscription to {self.pv.name!r}, id={self.subscriptionid}>"
