"""How methods that Python treats in its own way are called on a server: special ones, steps, and async ones."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from instrumentserver.errors import CallTimeout, InstrumentServerError, RemoteError, ServerLost
from instrumentserver.schema import ASYNC_SPECIALS
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import Op

__all__ = ["call_later", "special_method", "step_methods"]

_tokens: Final = itertools.count(1)
_HERE: Final = "the client"


async def call_later(proxy: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call an async method on the server, leaving this thread's event loop to others meanwhile.

    If it is cancelled here, the server cancels it, and this ends when the server is done with that; cancelled once
    more, it ends at once. The call takes its turn as any other call on the object does.
    """
    token = next(_tokens)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            value, error = context.run(proxy._call, name, args, kwargs, token), None
        except BaseException as raised:  # noqa: BLE001  (raised again where it is waited for)
            value, error = None, _as_cancelled(raised)
        with suppress(RuntimeError):
            # The loop may have been closed: then nobody waits.
            loop.call_soon_threadsafe(_settle, answer, value, error)

    threading.Thread(target=work, name=f"async call of {name}", daemon=True).start()
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        if answer.done():
            raise
        threading.Thread(target=_cancel, args=(proxy, token), name="cancelling", daemon=True).start()
    return await asyncio.shield(answer)


def _cancel(proxy: Any, token: int) -> None:
    with suppress(InstrumentServerError, OSError):
        proxy._session.request([Op.OBJECT_CANCEL, "", token])


def _settle(answer: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(value)
    if error is not None and not answer.cancelled():
        # Whether somebody still waits is nobody's concern.
        answer.exception()


def _as_cancelled(error: BaseException) -> BaseException:
    if isinstance(error, RemoteError) and error.class_name == "asyncio.exceptions.CancelledError":
        return asyncio.CancelledError()
    if isinstance(error, StopIteration):
        # A future takes anything but this.
        return RuntimeError(f"async method raised StopIteration: {error}")
    return error


def special_method(owner: str, name: str) -> Callable[..., Any]:
    """Return the function of a class of proxies that calls a special method of the object."""
    made = _SPECIALS[name](name) if name in _SPECIALS else _plain(name)
    made.__name__, made.__qualname__ = name, f"{owner}.{name}"
    return made


def step_methods(kind: str) -> dict[str, Callable[..., Any]]:
    """Return the methods of a class of proxies by which an iterator of a kind goes on."""
    return _STEPS.get(kind, {})


def _plain(name: str) -> Callable[..., Any]:
    if name in ASYNC_SPECIALS:

        async def call_async(self: Any, *args: Any) -> Any:
            return await call_later(self, name, args, {})

        return call_async

    def call(self: Any, *args: Any) -> Any:
        return self._call(name, args, {})

    return call


def _shown(name: str) -> Callable[..., Any]:
    def show(self: Any) -> str:
        try:
            return str(self._call(name, (), {}))
        except InstrumentServerError as error:
            # A notebook shows what it has; an object that has gone is no reason not to.
            return f"<{self._shape.name} at {self.uri}: {error}>"

    return show


def _leaving(name: str) -> Callable[..., Any]:
    def leave(self: Any, kind: object, error: BaseException | None, traceback: object) -> bool:
        return bool(self._call(name, (_failure(error),), {}))

    return leave


def _leaving_async(name: str) -> Callable[..., Any]:
    async def leave(self: Any, kind: object, error: BaseException | None, traceback: object) -> bool:
        return bool(await call_later(self, name, (_failure(error),), {}))

    return leave


def _failure(error: BaseException | None) -> dict[str, Any] | None:
    return None if error is None else dump_failure(error, _HERE)


# Iterators


def _self(self: Any) -> Any:
    return self


def _next(self: Any) -> Any:
    return _outcome(self, _step(self, "__next__", ()))


def _send(self: Any, value: Any) -> Any:
    """Have the generator go on with a value, and return what it yields next."""
    return _outcome(self, _step(self, "send", (value,)))


def _throw(self: Any, error: Any, *rest: Any) -> Any:
    """Raise an error in the generator, and return what it yields next."""
    raised = error if isinstance(error, BaseException) else error(*rest[:1])
    return _outcome(self, _step(self, "throw", (dump_failure(raised, _HERE),), raised), raised)


def _close(self: Any) -> None:
    """End the generator."""
    if not vars(self).get("_has_ended"):
        self._has_ended = True
        self._call("close", (), {})


def _step(self: Any, step: str, args: Sequence[Any], thrown: BaseException | None = None) -> list[Any]:
    if vars(self).get("_has_ended"):
        return ["returned", None] if thrown is None else ["yours", None]
    try:
        outcome: list[Any] = self._call(step, args, {})
    except (KeyboardInterrupt, SystemExit, CallTimeout, ServerLost):
        # The step may be under way still: its item is lost, and what follows would seem to follow directly.
        self._has_ended = True
        raise
    return outcome


def _outcome(self: Any, outcome: list[Any], thrown: BaseException | None = None) -> Any:
    how, value = outcome
    if how == "yielded":
        return value
    if self._shape.kind == "generator":
        self._has_ended = True
    if how == "yours" and thrown is not None:
        raise thrown
    raise StopIteration(value)


async def _anext(self: Any) -> Any:
    return _async_outcome(await call_later(self, "__anext__", (), {}))


async def _asend(self: Any, value: Any) -> Any:
    """Have the async generator go on with a value, and return what it yields next."""
    return _async_outcome(await call_later(self, "asend", (value,), {}))


async def _athrow(self: Any, error: Any, *rest: Any) -> Any:
    """Raise an error in the async generator, and return what it yields next."""
    raised = error if isinstance(error, BaseException) else error(*rest[:1])
    return _async_outcome(await call_later(self, "athrow", (dump_failure(raised, _HERE),), {}), raised)


async def _aclose(self: Any) -> None:
    """End the async generator."""
    await call_later(self, "aclose", (), {})


def _async_outcome(outcome: list[Any], thrown: BaseException | None = None) -> Any:
    how, value = outcome
    if how == "yielded":
        return value
    if how == "yours" and thrown is not None:
        raise thrown
    raise StopAsyncIteration


_ITERATOR: Final[dict[str, Callable[..., Any]]] = {"__iter__": _self, "__next__": _next}
_ASYNC_ITERATOR: Final[dict[str, Callable[..., Any]]] = {"__aiter__": _self, "__anext__": _anext}
_STEPS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "iterator": _ITERATOR,
    "generator": {**_ITERATOR, "send": _send, "throw": _throw, "close": _close},
    "async_iterator": _ASYNC_ITERATOR,
    "async_generator": {**_ASYNC_ITERATOR, "asend": _asend, "athrow": _athrow, "aclose": _aclose},
}
_SPECIALS: Final[dict[str, Callable[[str], Callable[..., Any]]]] = {
    "__next__": lambda name: lambda self: _next(self),
    "__anext__": lambda name: lambda self: _anext(self),
    "__exit__": _leaving,
    "__aexit__": _leaving_async,
    "__repr__": _shown,
    "__str__": _shown,
}
