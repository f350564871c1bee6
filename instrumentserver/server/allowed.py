"""What clients on a network may have a server import: what its owner has put on a list."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from inspect import isroutine
from types import ModuleType
from typing import Any, Final

from qcodes.instrument import InstrumentBase

from instrumentserver.errors import NotAllowed, UsageError
from instrumentserver.wire.classes import class_text

__all__ = ["AllowList"]

_ALWAYS: Final = ("qcodes.parameters.*",)
"""Classes of parameters, which do nothing but what the arguments say."""


class AllowList:
    """The import paths that clients on a network may name.

    Args:
        patterns: ``package.module:Class``, ``package.module`` or ``package.*``, which stands for everything below.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns: list[str] = []
        self.extend(patterns)

    def extend(self, patterns: Iterable[str]) -> None:
        """Put more on the list.

        Raises:
            UsageError: One is no import path; nothing was put on the list.
        """
        new = [_checked(pattern) for pattern in patterns]
        self._patterns += [pattern for pattern in new if pattern not in self._patterns]

    def patterns(self) -> list[str]:
        """Return what is on the list."""
        return list(self._patterns)

    def check(self, path: object) -> str:
        """Return an import path, and import what it leads to, after making sure that it is on the list.

        Raises:
            NotAllowed: It is not, or leads to something that its module has from another one that is not.
            ImportError: Its module cannot be imported.
        """
        if not isinstance(path, str) or not self._has(path, self._patterns):
            raise self._refused(str(path)[:200])
        module, _, name = path.partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part, None)
        home = _home_of(found)
        if path not in self._patterns and home is not None and not self._has(home, self._patterns):
            raise self._refused(home)
        return path

    def find_instrument(self, path: object) -> str:
        """Return the name by which to import an instrument's class, which is on the list.

        Raises:
            NotAllowed: It is not on the list, or is no class of instruments.
            ImportError: Its module cannot be imported.
        """
        if not isinstance(path, str):
            raise self._refused(str(path)[:200])
        module, _, name = path.partition(":")
        if not self._has(path, self._patterns) and path not in self._resolved():
            raise self._refused(path)
        found = _follow(importlib.import_module(module), name)
        if not isinstance(found, type) or not issubclass(found, InstrumentBase):
            raise NotAllowed(f"{path} is no class of instruments; only those may be created over a network")
        # A module on the list has classes of others, too, which it has imported.
        if not self._has(class_text(found), self._patterns) and class_text(found) not in self._resolved():
            raise self._refused(class_text(found))
        return path

    def check_parameter(self, path: object) -> None:
        """Make sure that a parameter may be of a class.

        Raises:
            NotAllowed: It is not on the list.
        """
        if not isinstance(path, str) or not self._has(path, (*_ALWAYS, *self._patterns)):
            raise self._refused(str(path)[:200])

    def _resolved(self) -> set[str]:
        """Return where the classes are that the list names by another place than their own."""
        found = set()
        for pattern in self._patterns:
            module, _, name = pattern.partition(":")
            if name and "*" not in pattern:
                thing = _follow(importlib.import_module(module), name)
                if isinstance(thing, type):
                    found.add(class_text(thing))
        return found

    @staticmethod
    def _has(path: str, patterns: Iterable[str]) -> bool:
        """Return whether a path is on a list; a name in a module is also below the module's name."""
        spellings = (path, path.replace(":", "."))
        return not any(part.startswith("_") for part in spellings[1].split(".")) and any(
            fnmatchcase(spelling, pattern) for spelling in spellings for pattern in patterns
        )

    def _refused(self, path: str) -> NotAllowed:
        allowed = ", ".join(self._patterns) or "nothing"
        return NotAllowed(
            f"{path} is not on this server's list of what may be used over a network ({allowed}); create it on the "
            f"server's computer, or have its owner start the server with allow=[{path!r}] (--allow {path})"
        )


def _home_of(thing: Any) -> str | None:
    """Return the import path of a module, a class or a function, where it was defined; None for anything else."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    if isinstance(thing, type) or isroutine(thing):
        return f"{thing.__module__}:{thing.__qualname__}"
    return None


def _follow(thing: Any, name: str) -> Any:
    for part in name.split("."):
        thing = vars(thing).get(part) if hasattr(thing, "__dict__") else None
    return thing


def _checked(pattern: str) -> str:
    words = pattern.replace(":", ".").split(".") if isinstance(pattern, str) else [""]
    if pattern == "*" or not all(word == "*" or word.isidentifier() for word in words) or words[0] == "*":
        raise UsageError(
            f"allow={pattern!r} is no import path; write 'package.module:Class', 'package.module' or 'package.*'"
        )
    return pattern
