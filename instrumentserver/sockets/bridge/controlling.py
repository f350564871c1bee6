"""Control: pushes that come to a socket set parameters and call methods, those that are listed."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import numpy as np
from qcodes.parameters import ParameterBase
from qcodes.validators import Arrays

from instrumentserver.errors import UsageError

from ..constants import MAX_DATAGRAM, PUSH_EXCEP
from ..failures import Refused
from ..push import DataPushSocket
from ..push.codec import encode_return
from .forms import plain
from .methods import Methods, find_methods
from .parameters import Parameters, find_parameters
from .roles import OPERATOR, Roles
from .words import ascii_text, one_line

__all__ = ["Control", "control"]

logger = logging.getLogger(__name__)

_METHOD: Final = "method"
_END_SECONDS: Final = 5.0


def control(
    instrument: Any,
    socket: DataPushSocket,
    parameters: Parameters = (),
    methods: Methods = (),
    *,
    reads: Iterable[str] = (),
    roles: Mapping[str, str] | None = None,
) -> Control:
    """Have a push socket set parameters of an instrument and call its methods; nothing that is not listed.

    A push ``{'method': 'update_settings', 'power': 300}`` calls the listed method with the rest as keyword arguments,
    and is answered with what it returns. A push without ``'method'`` sets the parameters whose codenames it has: all
    are checked, then set in this order, and a dict of what was set is the answer. Answers come as those of a direct
    callback, in the socket's ``return_format``: ``RET#...``, or ``EXCEP#`` and one line that says why not.

    One push is carried out at a time, in the socket's thread: a method that takes long keeps all clients waiting.
    The socket's ``last`` and ``updated`` go on telling what came, also what was refused.

    Args:
        instrument: A QCoDeS instrument or a part of one, local or remote; for methods alone also the proxy of a served
            object, or any object.
        socket: Where pushes come; its action is ``'store_last'``. If it has not been started, it is started here, and
            stopped with the control; otherwise it goes on afterwards.
        parameters: What can be set: objects or paths (``'power'``, ``'ch1.v'``) by codename, or a list of paths, which
            are the codenames then.
        methods: What can be called: functions or paths (``'fire'``, ``'ch1.fire'``) by name, or a list of paths. A
            QCoDeS function with arguments takes them as one list, ``args``.
        reads: Those of the methods that only read, by name: viewers may call them.
        roles: ``'viewer'`` or ``'operator'`` by network, such as ``{'192.168.1.0/24': 'viewer', '127.0.0.1':
            'operator'}``; the smallest network that a client is in counts, and one that is in none is refused. None:
            everybody who reaches the socket is an operator. Addresses of UDP can be forged: roles keep mistakes out,
            and no attackers.

    Raises:
        UsageError: Something listed is not there, is private or special, or cannot be set; nothing is controlled then.
    """
    made = Control(instrument, socket, parameters, methods, reads, roles)
    made._begin()
    return made


class Control:
    """What a push socket may do with an instrument, until `stop`; made by `control`, whose arguments it has.

    As a context manager it stops at the end.

    Attributes:
        socket: Where pushes come.
        parameters: What can be set, by codename.
        methods: What can be called, by name.
    """

    def __init__(
        self,
        instrument: Any,
        socket: DataPushSocket,
        parameters: Parameters,
        methods: Methods,
        reads: Iterable[str],
        roles: Mapping[str, str] | None,
    ) -> None:
        if not isinstance(socket, DataPushSocket):
            raise UsageError(f"{socket!r:.80} is no DataPushSocket, which is where commands come")
        self.socket = socket
        self.parameters: Mapping[str, ParameterBase] = find_parameters(instrument, parameters, to_set=True)
        self.methods: Mapping[str, Callable[..., Any]] = find_methods(instrument, methods)
        if _METHOD in self.parameters:
            raise UsageError(
                f"{_METHOD!r} names what is to be called, and no parameter; give another codename"
            )
        if not self.parameters and not self.methods:
            raise UsageError("nothing can be set or called then; list parameters= or methods=")
        self._reads = _checked_reads(reads, self.methods)
        self._roles = Roles(roles)
        self._owns_socket = False
        self._is_answering = threading.RLock()

    @property
    def port(self) -> int:
        """The socket's UDP port."""
        return self.socket.port

    def _begin(self) -> None:
        self.socket.attach(self._answer)
        if self.socket.ident is not None and self.socket.is_alive():
            return
        try:
            self.socket.start()
        except BaseException:
            self.socket.detach(self._answer)
            raise
        self._owns_socket = True

    def stop(self) -> None:
        """Carry out nothing more; stop the socket if `control` has started it. A second call does nothing.

        Waits for what is being carried out, at most 5 s.
        """
        self.socket.detach(self._answer)
        if self._owns_socket:
            self.socket.stop()
        elif self._is_answering.acquire(timeout=_END_SECONDS):
            self._is_answering.release()
        else:
            logger.warning(
                "control of port %s: a method has not returned within %g s", self.port, _END_SECONDS
            )

    def __enter__(self) -> Self:
        """Return the control."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    # What comes, in the socket's thread

    def _answer(self, data: dict[str, Any]) -> str:
        """Carry out a push and return the reply.

        Raises:
            Refused: Nothing was done; with the reply that says why.
        """
        with self._is_answering:
            if _METHOD in data:
                name = data.pop(_METHOD)
                self._check_role(name)
                task = self._call(name, data)
            else:
                self._check_role(None)
                task = self._set(data)
            try:
                value = task()
            except BaseException as error:
                # Not even sys.exit() of a driver may end the service of all others.
                text = one_line(error)
                logger.warning("control of port %s: %s", self.port, text)
                logger.debug("control of port %s: where it failed", self.port, exc_info=error)
                return f"{PUSH_EXCEP}#{text}"
        return self._encoded(value)

    def _encoded(self, value: Any) -> str:
        """Return the reply with what was returned."""
        text = ascii_text(encode_return(plain(value), self.socket.return_format))
        if len(text) > MAX_DATAGRAM:
            return f"{PUSH_EXCEP}#It was done; the answer cannot be sent: {len(text)} bytes, at most {MAX_DATAGRAM} fit"
        return text

    def _check_role(self, method: Any) -> None:
        """Refuse a client who may not do that."""
        client = self.socket.statistics.last_client
        host = client[0] if client is not None else ""
        role = self._roles.of(host)
        if role == OPERATOR:
            return
        if role is None:
            _refuse(f"{host} may do nothing here")
        if not isinstance(method, str) or method not in self._reads:
            allowed = ", ".join(sorted(self._reads)) or "nothing"
            _refuse(f"{host} is a viewer here, who may call: {allowed}")

    def _call(self, name: Any, arguments: dict[str, Any]) -> Callable[[], Any]:
        """Return the call of a method, checked."""
        method = self.methods.get(name) if isinstance(name, str) else None
        if method is None:
            _refuse(f"there is no method {name!r:.80} here, but: {', '.join(self.methods) or 'none'}")
        _check_arguments(name, method, arguments)
        return lambda: method(**arguments)

    def _set(self, data: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """Return the setting of parameters, all of them checked."""
        for codename in data:
            if codename not in self.parameters:
                can_be_set = ", ".join(self.parameters) or "nothing"
                _refuse(f"{codename!r:.80} cannot be set here, but: {can_be_set}; nothing was set")
        values = {}
        for codename, value in data.items():
            try:
                values[codename] = _checked(self.parameters[codename], value)
            except BaseException as error:  # noqa: BLE001 - a driver's validator may fail in any way
                _refuse(f"{codename}: {one_line(error)}; nothing was set")
        return lambda: self._set_in_order(values)

    def _set_in_order(self, values: Mapping[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = {}
        for codename, value in values.items():
            try:
                self.parameters[codename].set(value)
            except BaseException as error:
                before = (
                    ", ".join(f"{name} = {plain(other)!r:.40}" for name, other in done.items()) or "nothing"
                )
                raise RuntimeError(f"{codename}: {one_line(error)}; set before it: {before}") from error
            done[codename] = value
        return done


def _checked_reads(reads: Iterable[str], methods: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of methods that viewers may call."""
    if isinstance(reads, str):
        raise UsageError(f"reads={reads!r} is one text; give a list of names, [{reads!r}]")
    names = list(reads)
    for name in names:
        if name not in methods:
            raise UsageError(
                f"reads= names {name!r}, which is not among methods=: {', '.join(methods) or 'none'}"
            )
    return frozenset(names)


def _check_arguments(name: str, method: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that a method does not take; one that does not say what it takes gets all."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        empty = inspect.Parameter.empty
        plainly = [each.replace(annotation=empty) for each in signature.parameters.values()]
        fitting = signature.replace(parameters=plainly, return_annotation=inspect.Signature.empty)
        _refuse(f"{name}: {error}; it is {name}{fitting}")


def _checked(parameter: ParameterBase, value: Any) -> Any:
    """Return a value in the form in which a parameter takes it, after the parameter's own checks."""
    # JSON has no arrays but lists.
    if isinstance(value, list) and isinstance(getattr(parameter, "vals", None), Arrays):
        value = np.asarray(value)
    parameter.validate(value)
    return value


def _refuse(text: str) -> NoReturn:
    raise Refused(f"{PUSH_EXCEP}#{ascii_text(text)}") from None
