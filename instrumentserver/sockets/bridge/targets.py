"""Targets: what somebody names of an instrument for a socket, and how the names lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from qcodes.instrument import ChannelTuple
from qcodes.instrument.instrument_base import InstrumentBase

from instrumentserver.errors import UsageError

__all__ = ["by_name", "enumerated", "module_at", "parts_of", "refresh", "shown"]

_MOST_NAMED: Final = 30


def by_name(targets: Any, what: str, name_of: Callable[[Any], str]) -> Iterator[tuple[str, Any]]:
    """Yield names and what they stand for.

    Args:
        targets: A dict of both, or an iterable of the latter.
        what: What they are, for people.
        name_of: Returns the name of one that was given without.

    Raises:
        UsageError: It is a text, or a name is none, or is there twice.
    """
    if isinstance(targets, str):
        raise UsageError(f"{what}={targets!r} is one text; give a list of paths, [{targets!r}], or a dict")
    is_named = isinstance(targets, Mapping)
    known = set()
    for name, target in targets.items() if is_named else ((name_of(each), each) for each in targets):
        if not isinstance(name, str) or not name:
            raise UsageError(f"{name!r} in {what}= is no name; give a text")
        if name in known:
            raise UsageError(f"{name!r} is in {what}= more than once; give each name once")
        known.add(name)
        yield name, target


def module_at(instrument: InstrumentBase, names: Iterable[str]) -> InstrumentBase | None:
    """Return the part of an instrument to which submodules and channels of these names lead, None if there is none."""
    module: Any = instrument
    for name in names:
        module = _step(module, name)
        if module is None:
            return None
    return module if isinstance(module, InstrumentBase) else None


def refresh(instrument: InstrumentBase) -> None:
    """Bring a proxy up to date with what was added on the server; nothing happens to a local instrument."""
    link = vars(instrument).get("_link")
    if link is not None:
        link.refresh()


def parts_of(instrument: InstrumentBase) -> list[tuple[str, InstrumentBase]]:
    """Return an instrument and all parts of it with what their paths begin with: ``''``, ``'ch1.'``; each part once."""
    return list(_walk(instrument, "", set()))


def enumerated(names: list[str]) -> str:
    """Return names as one text, of very many only the first ones."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(names[:_MOST_NAMED]) or "nothing") + more


def shown(thing: Any) -> str:
    """Return who something is, for people."""
    return thing.name if isinstance(thing, InstrumentBase) else f"{thing!r:.80}"


def _step(module: Any, name: str) -> Any:
    """Return a submodule, or a channel by its place or its name."""
    if isinstance(module, ChannelTuple):
        if name.isdecimal() and int(name) < len(module):
            return module[int(name)]
        return next((channel for channel in module if channel.short_name == name), None)
    return module.submodules.get(name)


def _walk(module: InstrumentBase, path: str, known: set[int]) -> Iterator[tuple[str, InstrumentBase]]:
    if id(module) in known:
        return
    known.add(id(module))
    yield path, module
    lists = []
    for name, part in module.submodules.items():
        if isinstance(part, ChannelTuple):
            # Last: most of their channels have a shorter path as well.
            lists.append((name, part))
        elif isinstance(part, InstrumentBase):
            yield from _walk(part, f"{path}{name}.", known)
    for name, part in lists:
        for channel in part:
            yield from _walk(channel, f"{path}{name}.{channel.short_name}.", known)
