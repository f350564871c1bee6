"""Patterns by which whoever serves an object narrows what clients may use of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from instrumentserver.errors import UsageError

from .members import annotated

__all__ = ["Patterns"]


class Patterns:
    """What is left of a root, and of the objects that come from it.

    ``"get*"`` names members of the root, ``"Counter.get*"`` members of objects of a class and of those below it. Of
    classes that no pattern names in this way, all public members are left.

    Args:
        root: The served object, class or module.
        expose: The patterns, as of `fnmatch`, case-sensitive.

    Raises:
        UsageError: One is malformed.
    """

    def __init__(self, root: Any, expose: Sequence[str]) -> None:
        if isinstance(expose, str):
            raise UsageError(f"expose={expose!r} is one text; give a list of patterns: expose=[{expose!r}]")
        self._root = root
        self._of_root: list[str] = []
        self._of_classes: list[tuple[str, str]] = []
        for pattern in expose:
            parts = pattern.split(".") if isinstance(pattern, str) else []
            if not (0 < len(parts) <= 2 and all(parts)):
                raise UsageError(
                    f"expose: {pattern!r} is no pattern; write 'name' for a member of what is served, "
                    f"or 'Class.member' for a member of its objects"
                )
            if len(parts) == 1:
                self._of_root.append(pattern)
            else:
                self._of_classes.append((parts[0], parts[1]))

    def check(self, names: Collection[str], classes: Iterable[type], shown: str) -> None:
        """Make sure that every pattern matches something.

        Args:
            names: Of the members of the root.
            classes: Those whose objects may come from it.
            shown: How the root reads.

        Raises:
            UsageError: One does not; the message names it.
        """
        for pattern in self._of_root:
            if not any(fnmatchcase(name, pattern) for name in names):
                self._raise_unmatched(pattern, names, shown)
        known = list(classes)
        for cls_pattern, member in self._of_classes:
            found = [cls for cls in known if fnmatchcase(cls.__name__, cls_pattern)]
            members = {name for cls in found for part in cls.__mro__ for name in vars(part)}
            members.update(name for cls in found for name in annotated(cls))
            if not any(fnmatchcase(name, member) for name in members):
                self._raise_unmatched(f"{cls_pattern}.{member}", names, shown)

    def leave(self, thing: Any, name: str) -> bool:
        """Return whether a member of a thing is left."""
        cls = thing if isinstance(thing, type) else type(thing)
        above = {part.__name__ for part in cls.__mro__}
        members = [
            member
            for pattern, member in self._of_classes
            if any(fnmatchcase(part, pattern) for part in above)
        ]
        if thing is self._root:
            members += self._of_root
        elif not members:
            return True
        return any(fnmatchcase(name, member) for member in members)

    def _raise_unmatched(self, pattern: str, names: Collection[str], shown: str) -> None:
        public = [name for name in names if not name.startswith("_")]
        raise UsageError(
            f"expose: {pattern!r} matches nothing of {shown}; "
            f"it has {', '.join(public[:30]) or 'no public members'}"
        )
