"""What a server has under names, asked for anew at every use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

__all__ = ["Named"]

T = TypeVar("T")


class Named(Mapping[str, T]):
    """A server's instruments, or its objects, by name.

    Args:
        what: What they are, for people.
        server: The server's name.
        names: Returns the names of those that are there now.
        find: Returns the proxy of one.
    """

    def __init__(
        self, what: str, server: str, names: Callable[[], list[str]], find: Callable[[str], T]
    ) -> None:
        self._what = what
        self._server = server
        self._names = names
        self._find = find

    def __getitem__(self, name: str) -> T:
        if name not in self._names():
            raise KeyError(name)
        return self._find(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"<{self._what} of {self._server}: {', '.join(self._names()) or 'none'}>"
