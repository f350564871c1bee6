"""shared_kwargs: keyword arguments that a server holds once for all its instruments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from qcodes.instrument import InstrumentBase

from instrumentserver.errors import NotPortable, UnknownName, UsageError
from instrumentserver.wire.codec import Codec

from .hosted import Hosted
from .locks import Locked

__all__ = ["SharedArguments"]


class SharedArguments:
    """The shared keyword arguments of one server.

    A class names those that it takes in its attribute ``shared_kwargs``. The first instrument that
    brings one fixes it; every later one that names it gets the same object.

    Args:
        server_name: The server's name, for messages.
        new_codec: Makes a codec that knows handles.
        find: Returns the instrument of a name.
    """

    def __init__(
        self, server_name: str, new_codec: Callable[[], Codec], find: Callable[[str], Hosted]
    ) -> None:
        self._server_name = server_name
        self._new_codec = new_codec
        self._find = find
        self._values: dict[str, Any] = {}
        self._as_sent: dict[str, tuple[bytes, list[bytes]]] = {}
        self._beside: dict[str, InstrumentBase] = {}
        self._lock = threading.RLock()

    def values(self) -> dict[str, Any]:
        """Return what is shared now."""
        return dict(self._values)

    def bring(self, brought: Mapping[str, Any], beside: Sequence[Locked] = ()) -> dict[str, Any]:
        """Share what is not shared yet.

        Args:
            brought: Names and values.
            beside: Instruments of this server among the values.

        Returns:
            What was not shared before.

        Raises:
            UsageError: One is shared already and has another value; nothing is shared then.
        """
        with self._lock:
            self._follow_instruments()
            for name, value in brought.items():
                if name in self._values and not _is_same(self._values[name], value):
                    raise UsageError(
                        f"server {self._server_name!r} already exists but with different shared_kwargs: "
                        f"it has {name}={self._values[name]!r}, not {value!r}; "
                        f"give the same value, leave it out, or use another server"
                    )
            new = {name: value for name, value in brought.items() if name not in self._values}
            self._values.update(new)
            if new and beside:
                self._beside.update(
                    {each.name: each.instrument for each in beside if hasattr(each, "instrument")}
                )
                self._as_sent.update(
                    {name: self._encode(value) for name, value in new.items() if not _is_plain(value)}
                )
            return new

    @contextmanager
    def lent(
        self, cls: type, kwargs: Mapping[str, Any], beside: Sequence[Locked]
    ) -> Iterator[tuple[dict[str, Any], list[Locked]]]:
        """Yield the keyword arguments for a constructor of ``cls``, and the instruments among them.

        What the constructor brings stays shared only if the block ends without an error.
        """
        names = list(getattr(cls, "shared_kwargs", None) or ())
        if not names:
            yield dict(kwargs), list(beside)
            return
        with self._lock:
            # An empty value asks for what the server has, as in the tutorial's ``instruments=()``.
            brought = {name: kwargs[name] for name in names if name in kwargs and not _is_empty(kwargs[name])}
            new = self.bring(brought, beside)
            shared = {name: self._values[name] for name in names if name in self._values}
            also_beside = [self._find(name) for name in self._beside] if shared else []
            try:
                yield {**kwargs, **shared}, [*beside, *also_beside]
            except BaseException:
                for name in new:
                    del self._values[name]
                    self._as_sent.pop(name, None)
                raise

    def _follow_instruments(self) -> None:
        """Replace instruments of this server that were made anew since they were shared.

        Raises:
            UsageError: One was closed and is not there.
        """
        if not self._as_sent:
            return
        try:
            now = {name: self._find(name).instrument for name in self._beside}
        except UnknownName as error:
            raise UsageError(
                f"the shared_kwargs {', '.join(self._as_sent)} of server {self._server_name!r} hold an "
                f"instrument that is gone: {error}; create it again, or use another server"
            ) from error
        if all(now[name] is self._beside[name] for name in now):
            return
        for name, (message, buffers) in self._as_sent.items():
            copies = [memoryview(bytearray(buffer)) for buffer in buffers]
            self._values[name] = self._new_codec().decode(message, copies)
        self._beside = now

    def _encode(self, value: Any) -> tuple[bytes, list[bytes]]:
        message, buffers = self._new_codec().encode(value)
        return message, [bytes(buffer) for buffer in buffers]


def _is_plain(value: Any) -> bool:
    """Return whether a value holds no instrument."""
    try:
        Codec().encode(value)
    except NotPortable:
        return False
    return True


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple | dict | set | str) and not value)


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=False))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_is_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    return bool(one == other)
