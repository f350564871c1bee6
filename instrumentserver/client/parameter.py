"""Remote parameters: real QCoDeS parameters whose value, limits and metadata are the server's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from qcodes.parameters import Parameter, ParameterBase
from qcodes.parameters.parameter_base import ParameterSet
from qcodes.validators import Arrays

from instrumentserver.schema import ParameterSchema, SubscribeOptions
from instrumentserver.transport.connection import FLOAT_BYTES, frame_before_float, frame_of
from instrumentserver.wire.messages import Op

from .attribute import (
    NestedAttributes,
    ServerAttribute,
    ServerCode,
    ServerValidators,
    get_attribute,
    is_forwarded,
    server_has,
    set_attribute,
)
from .cache import RemoteCache
from .claim import claimed_class
from .link import Link
from .metadatable import RemoteMetadatable
from .method import RemoteMethod
from .subscription import Subscription

__all__ = ["AnyRemoteParameter", "RemoteParameter"]

_LOCAL: Final = frozenset(("cache", "get", "set", "get_latest", "on_set_callback", "global_on_set_callback"))
"""Public attributes that belong to this process's object."""


_ONE_VALUE: Final = inspect.Signature([inspect.Parameter("value", inspect.Parameter.POSITIONAL_OR_KEYWORD)])
"""How QCoDeS's own ``set`` reads; `Measurement.add_before_run` counts its parameters."""


class AnyRemoteParameter(NestedAttributes, RemoteMetadatable, ParameterBase):
    """What all remote parameters have in common.

    Scaling, value maps, parsers, steps and delays act on the server alone: here a value is passed on as it is,
    and the attributes that say how it is treated are read and set on the server.

    Args:
        link: The instrument's link.
        path: The parameter's path.
        schema: Its schema.
        instrument: The proxy of the module that it belongs to.
        kwargs: Further arguments of the QCoDeS class.
    """

    _deleted: frozenset[str] = frozenset()
    _unpacking: tuple[int, bool] | None = None

    def __init__(
        self, link: Link, path: str, schema: ParameterSchema, instrument: Any, **kwargs: Any
    ) -> None:
        self._link = link
        self._path = path
        self._schema = schema
        self._remote_cache = RemoteCache(link, path)
        super().__init__(
            name=schema.name,
            instrument=instrument,
            bind_to_instrument=False,
            snapshot_value=schema.snapshot_value,
            register_name=schema.register_name,
            **kwargs,
        )
        self._methods = {method.name: RemoteMethod(link, path, method) for method in schema.methods}
        self.__doc__ = schema.doc
        self._is_built = True

    # Attributes that the server keeps. ``label`` and its like are also properties of QCoDeS's classes.
    label = ServerAttribute()
    unit = ServerAttribute()
    vals = ServerValidators()  # type: ignore[assignment]
    validators = ServerValidators()  # type: ignore[assignment]
    step = ServerAttribute()  # type: ignore[assignment]
    scale = ServerAttribute()
    offset = ServerAttribute()
    inter_delay = ServerAttribute()  # type: ignore[assignment]
    post_delay = ServerAttribute()  # type: ignore[assignment]
    val_mapping = ServerAttribute()
    inverse_val_mapping = ServerAttribute()
    get_parser = ServerCode()  # type: ignore[assignment]
    set_parser = ServerCode()  # type: ignore[assignment]
    snapshot_value = ServerAttribute()  # type: ignore[assignment]
    _snapshot_value = ServerAttribute()  # type: ignore[assignment]
    _snapshot_get = ServerAttribute()  # type: ignore[assignment]
    snapshot_exclude = ServerAttribute()  # type: ignore[assignment]

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override,misc]
        return claimed_class(self._schema.classes, type(self))

    @property
    def cache(self) -> Any:
        """The cache of the parameter, which is the server's."""
        return self._remote_cache

    @cache.setter
    def cache(self, cache: object) -> None:
        """Ignore the cache that QCoDeS's constructor makes."""

    @property
    def _implements_get_raw(self) -> bool:
        return self._schema.gettable

    @property
    def _implements_set_raw(self) -> bool:
        return self._schema.settable

    def get_raw(self) -> Any:
        """Read the raw value from the hardware, without parsing and scaling it."""
        return self._link.request(Op.CALL, self._path, "get_raw", [], {})

    def set_raw(self, value: Any) -> Any:
        """Send a raw value to the hardware, without checking, scaling and stepping; return what the driver does."""
        return self._link.request(Op.CALL, self._path, "set_raw", [value], {})

    def subscribe(
        self,
        *,
        lossless: bool = False,
        queue: int = 1000,
        interval: float = 0.0,
        deadband: float = 0.0,
        period: float | None = None,
    ) -> Subscription:
        """Return a subscription to the changes of the value, whoever makes them; nothing is asked for yet.

        Args:
            lossless: Whether every change is wanted, in order; otherwise the newest is enough.
            queue: How many changes are kept for a slow lossless subscriber, a count; the oldest are dropped first.
            interval: Shortest time between two deliveries, seconds.
            deadband: A number, or an array, that differs from the latest delivered one by no more than this, in
                the parameter's unit, is no change.
            period: How often the server is to read the parameter meanwhile, seconds: for a value that changes by
                itself. None leaves that to the driver and to others.

        Raises:
            UsageError: One of these makes no sense.
        """
        options = SubscribeOptions(lossless, queue, interval, deadband, period)
        subscription = Subscription(options, str(self._link.address(self._path)))
        subscription.bind(self._link.session, self._path)
        return subscription

    def _wrap_get(self, get_function: Callable[..., Any]) -> Callable[..., Any]:
        link, request, message = self._link, self._link.session.request, [Op.GET, self._path]
        # It says the same each time: not to encode it again saves 0.4 us.
        frame = frame_of(message)

        def get(*args: Any, **kwargs: Any) -> Any:
            """Return the value, read from the hardware by the server."""
            if not self._gettable:
                raise TypeError("Trying to get a parameter that is not gettable.", f"getting {self}")
            if kwargs:
                return link.request(Op.CALL, self._path, "get", list(args), kwargs)
            reply = request([*message, *args]) if args else request(message, frame)
            if reply[0] != link.version:
                link.notice(reply[0])
            return reply[1]

        return get

    def _wrap_set(self, set_function: Callable[..., None]) -> Callable[..., None]:
        link, path, request = self._link, self._path, self._link.session.request
        before_float = frame_before_float([Op.SET, path])

        def set(value: Any, **kwargs: Any) -> None:
            """Have the server check the value and send it to the hardware."""
            if not self._settable:
                raise TypeError(
                    "Trying to set a parameter that is not settable.", f"setting {self} to {value}"
                )
            if kwargs:
                reply = request([Op.SET, path, value, kwargs])
            else:
                # Most values are floats, and only eight bytes differ: not to encode the rest again saves 0.6 us.
                frame = before_float + FLOAT_BYTES(value) if type(value) is float else None
                reply = request([Op.SET, path, value], frame)
            if reply[0] != link.version:
                link.notice(reply[0])
            if self.on_set_callback is not None or type(self).global_on_set_callback is not None:
                self._call_on_set_callback(value)

        set.__signature__ = _ONE_VALUE  # type: ignore[attr-defined]
        return set

    def validate(self, value: Any) -> None:
        """Have the server check a value.

        Raises:
            TypeError: It is of the wrong type.
            ValueError: It is outside the limits.
        """
        self._link.request(Op.VALIDATE, self._path, value)

    def add_validator(self, vals: Any) -> None:
        """Add a validator on the server."""
        self._link.request(Op.CALL, self._path, "add_validator", [vals], {})

    def remove_validator(self) -> Any:
        """Remove the validator that was added last from the server's parameter and return it."""
        return self._link.request(Op.CALL, self._path, "remove_validator", [], {})

    @property
    def depends_on(self) -> Any:
        """Parameters whose values the values of this one belong to."""
        return self._related("depends_on", super().depends_on)

    @property
    def has_control_of(self) -> Any:
        """Parameters that this one sets as well."""
        return self._related("has_control_of", super().has_control_of)

    @property
    def is_controlled_by(self) -> Any:
        """Parameters that set this one as well."""
        return self._related("is_controlled_by", super().is_controlled_by)

    def _related(self, name: str, here: Any) -> Any:
        """Return the parameters that the driver relates to this one, and those that were added in this process."""
        if not self._is_built or name not in self._schema.relations:
            return here
        return ParameterSet([*get_attribute(self, name), *here])

    def unpack_self(self, value: Any) -> Any:
        """Return the pairs of parameter and value that a dataset stores for one value of this parameter."""
        if self._schema.unpacks_itself:
            pairs = self._link.request(Op.CALL, self._path, "unpack_self", [value], {})
            return [(parameter, stored) for parameter, stored in pairs]
        # Asked for at every point of a measurement: the kind of validator is fetched once for each state of the tree.
        if self._unpacking is None or self._unpacking[0] != self._link.version:
            self._unpacking = self._link.version, isinstance(self.vals, Arrays)
        return super().unpack_self(value) if self._unpacking[1] else [(self, value)]

    @property
    def underlying_instrument(self) -> Any:
        """The instrument whose hardware the parameter uses, where its class names another one than its own."""
        if self._schema.names_instrument:
            return get_attribute(self, "underlying_instrument")
        return self.root_instrument

    def _build__doc__(self) -> Any:
        return self._schema.doc

    def __getattr__(self, name: str) -> Any:
        if not self._is_built or not is_forwarded(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        method = self._methods.get(name)
        return get_attribute(self, name) if method is None else method

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_built and name not in _LOCAL and self._is_kept_there(name):
            set_attribute(self, name, value)
        else:
            super().__setattr__(name, value)

    def _is_kept_there(self, name: str) -> bool:
        """Return whether an attribute that is to be set belongs to the parameter on the server."""
        if name in self._deleted:
            return True
        if name in vars(self) or hasattr(type(self), name):
            return name in self._schema.attributes and not isinstance(
                getattr(type(self), name, None), ServerAttribute | property
            )
        return name in self._schema.attributes or (is_forwarded(name) and server_has(self, name))

    def __delattr__(self, name: str) -> None:
        if name in self._schema.attributes and name not in vars(self):
            self._deleted = self._deleted | {name}
            self.delattr(name)
        else:
            super().__delattr__(name)

    def __repr__(self) -> str:
        if self._is_built and "__repr__" in self._schema.special:
            return str(self.callattr("__repr__"))
        return f"<{self._schema.classes[0].replace(':', '.')}: {self.name} at {id(self)}>"

    def __str__(self) -> str:
        return (
            str(self.callattr("__str__"))
            if self._is_built and "__str__" in self._schema.special
            else self.full_name
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(type(self)), *self._schema.attributes, *self._methods})


class RemoteParameter(AnyRemoteParameter, Parameter):
    """A parameter with one value."""

    def __init__(self, link: Link, path: str, schema: ParameterSchema, instrument: Any) -> None:
        super().__init__(
            link, path, schema, instrument, label=schema.label, unit=schema.unit, get_cmd=False, set_cmd=False
        )
