"""Snapshots on the server: the whole tree in one message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from qcodes.instrument import ChannelTuple, InstrumentBase
from qcodes.parameters import ParameterBase
from qcodes.utils import NumpyJSONEncoder

__all__ = ["portable_snapshot", "snapshot_is_passive"]


def snapshot_is_passive(thing: Any, update: Any) -> bool:
    """Return whether a snapshot only reads caches, so that it need not wait for a call that is under way.

    A driver with a ``snapshot_base`` of its own may do anything in it.
    """
    return update in (False, "Never") and _is_plain(thing)


def _is_plain(thing: Any) -> bool:
    kind: Any = type(thing)
    if isinstance(thing, ParameterBase):
        return _snapshots_as_qcodes(kind)
    parts: list[Any] = []
    if isinstance(thing, InstrumentBase):
        parts = [*list(thing.parameters.values()), *list(thing.submodules.values())]
    elif isinstance(thing, ChannelTuple):
        parts = list(thing)
    return _snapshots_as_qcodes(kind) and all(map(_is_plain, parts))


@functools.lru_cache(1024)
def _snapshots_as_qcodes(kind: type) -> bool:
    definer = next((cls for cls in kind.__mro__ if "snapshot_base" in vars(cls)), kind)
    return definer.__module__.startswith(("qcodes.instrument.", "qcodes.parameters.", "qcodes.metadatable."))


def portable_snapshot(value: Any, is_portable: Callable[[Any], bool]) -> Any:
    """Return a snapshot in which everything can travel: what cannot is as QCoDeS would store it in a dataset."""
    if is_portable(value):
        return value
    if isinstance(value, dict):
        return {
            key if is_portable(key) else str(key): portable_snapshot(item, is_portable)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [portable_snapshot(item, is_portable) for item in value]
    try:
        stored = NumpyJSONEncoder().default(value)
    except Exception:  # noqa: BLE001  (what cannot be stored is shown)
        return repr(value)
    return stored if is_portable(stored) else repr(value)
