"""Errors as Pyro5's clients take them: of a class that every client has.

A client that gets an error of a class that it does not know closes its connection, and with it would go what the
connection keeps alive. So every error leaves the gateway as one of Python's own classes.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

from instrumentserver.errors import ObjectFreed

from .values import dump

__all__ = ["as_builtin", "remote_traceback"]

_TRACEBACK: Final = "Traceback on "
_TOO_WIDE: Final = (Exception, BaseException)
"""Classes that say nothing."""


def as_builtin(error: Exception) -> Exception:
    """Return an error of one of Python's own classes that tells the same.

    One of Python's own stays as it is. Any other becomes one of the nearest of Python's own classes above its own, or
    `RuntimeError`, with the name of its class before its text. Notes, with the server's traceback, are kept.
    """
    plain = _same(error) or _nearest(error)
    for note in getattr(error, "__notes__", ()):
        plain.add_note(note)
    return plain


def remote_traceback(error: BaseException) -> list[str] | None:
    """Return the server's traceback as lines that Pyro's clients show, None if the error did not come from a server."""
    notes = getattr(error, "__notes__", ())
    found = next((note for note in reversed(notes) if note.startswith(_TRACEBACK)), None)
    return None if found is None else found.splitlines(keepends=True)


def _same(error: Exception) -> Exception | None:
    """Return an error of the same class, None if it is not one of Python's own that a client can make."""
    cls = type(error)
    same = _made(cls, tuple(_portable(arg) for arg in error.args)) if _is_built_in(cls) else None
    if same is not None and isinstance(error, OSError) and error.filename is not None:
        # Pyro sends arguments and the dictionary, and Python keeps this in neither.
        vars(same)["filename"] = error.filename
    return same


def _nearest(error: Exception) -> Exception:
    cls = type(error)
    name = cls.__qualname__ if _is_built_in(cls) else f"{cls.__module__}.{cls.__qualname__}"
    # A `RemoteError` begins with the name of the class that its error had on the server.
    message = str(error) if getattr(error, "class_name", "") else f"{name}: {error}"
    bases = [base for base in cls.__mro__[:-1] if _is_built_in(base) and base not in _TOO_WIDE]
    if issubclass(cls, ObjectFreed):
        bases.insert(0, RuntimeError)  # As the SDK says it of a tagger that was freed.
    made = (_made(base, (message,)) for base in bases)
    return next((each for each in made if each is not None), None) or RuntimeError(message)


def _is_built_in(cls: type) -> bool:
    return vars(builtins).get(cls.__name__) is cls


def _made(cls: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    """Return an error as a client makes it from its class and its arguments, None if it cannot."""
    if issubclass(cls, BaseExceptionGroup):
        return None  # The errors inside do not survive Pyro's serialisers.
    try:
        return cls(*args)
    except Exception:  # noqa: BLE001  (a class may want other arguments)
        return None


def _portable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return str(value)  # Pyro's own serialiser makes a dict of them, which no error takes.
    try:
        return dump(value, str)
    except TypeError:
        return str(value)
