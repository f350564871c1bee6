"""Errors as values: a driver's exception leaves the server and is raised again at the client.

The class is kept where the receiving process has imported it (`find_class`), else the error becomes
a `RemoteError` with the class's name. Arguments, attributes, text and notes are kept; the
traceback of the server travels as text and is shown under the error, as a note.
Exceptions that end a process (`SystemExit`, `KeyboardInterrupt`) never leave the server as themselves.

No constructor runs at the receiver: one that takes other arguments than it hands on could not be called, and
one that does something would do it twice.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import GetSetDescriptorType, MemberDescriptorType, TracebackType
from typing import Any, Final

from instrumentserver.errors import NotPortable, RemoteError

from .classes import class_name, find_class
from .codec import Codec
from .values import shown

__all__ = ["dump_failure", "load_failure"]

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_DEEPEST: Final = 20
"""Groups inside groups deeper than this leave their parts behind."""
_LARGEST: Final = 1 << 24
"""Errors of more bytes than this leave their arguments behind."""
_LONGEST: Final = 1 << 16
"""Characters that are left of the texts of such an error, and of arguments without a form on the wire."""


def dump_failure(error: BaseException, where: str) -> dict[str, Any]:
    """Return plain values for an error, whatever it holds.

    Args:
        error: The exception, with its traceback.
        where: The place that the traceback's heading names, such as "server 'foo' (pid 123)".
    """
    try:
        failure = _dump(error, where, 0)
        if _size(failure) <= _LARGEST:
            return failure
    except Exception:  # noqa: BLE001  (a class of somebody else's may fail in any way)
        pass  # Or each part would travel by itself, but not inside so many others.
    return _dump_bare(error, where)


def load_failure(failure: dict[str, Any]) -> Exception:
    """Return the exception to raise for what `dump_failure` returned."""
    error = _rebuild(failure)
    vars(error)["__notes__"] = [*failure["notes"], failure["traceback"]]
    return error


def _dump(error: BaseException, where: str, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise RecursionError
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    dumped_parts = [_dump(part, where, depth + 1) for part in parts]
    return {
        "class": list(class_name(type(error))),
        "args": [_portable(arg) for arg in error.args],
        "slots": dict(_slots(error)),
        "state": {key: _portable(value) for key, value in vars(error).items() if key != "__notes__"},
        "text": _text(error),
        "message": error.message if isinstance(error, BaseExceptionGroup) else None,
        "notes": _notes(error),
        "traceback": f"Traceback on {where}:\n{_traceback(error)}",
        "parts": dumped_parts,
    }


def _dump_bare(error: BaseException, where: str) -> dict[str, Any]:
    """Return no more of an error than its class and the beginning of its texts."""
    text = _text(error)[:_LONGEST]
    return {
        "class": list(class_name(type(error))),
        "args": [text],
        "slots": {},
        "state": {},
        "text": text,
        "message": None,
        "notes": [note[:_LONGEST] for note in _notes(error)[:10]],
        "traceback": f"Traceback on {where}:\n{_traceback(error)}"[-_LONGEST:],
        "parts": [],
    }


def _rebuild(failure: dict[str, Any]) -> Exception:
    module, qualname = failure["class"]
    text = failure["text"]
    cls = find_class(module, qualname)
    try:
        if cls is not None and issubclass(cls, Exception):
            error = _make(cls, failure)
            if _text(error) == text:
                return error
            # The text came from arguments that stayed behind, or from something beside them.
            told = {"__str__": lambda self: text, "__module__": module, "__qualname__": qualname}
            return _make(type(cls.__name__, (cls,), told), failure)
    except Exception:  # noqa: BLE001  (a class of somebody else's may refuse in any way)
        pass
    return RemoteError(text, f"{module}.{qualname}")


def _make(cls: type[Exception], failure: dict[str, Any]) -> Exception:
    args = failure["args"]
    built_in: Any = cls
    while built_in.__module__ != "builtins":
        built_in = built_in.__base__
    if issubclass(cls, ExceptionGroup):
        parts = [load_failure(part) for part in failure["parts"]]
        error: Exception = built_in.__new__(cls, failure["message"], parts)
        args = [*error.args[:2], *args[2:]]
    else:
        error = built_in.__new__(cls)
    # Past what a class makes of assignments: a frozen dataclass refuses them.
    assign = object.__setattr__
    assign(error, "args", tuple(args))
    for name, value in failure["slots"].items():
        with contextlib.suppress(AttributeError):
            assign(error, name, value)
    vars(error).update(failure["state"])
    return error


def _slots(error: BaseException) -> Iterator[tuple[str, Any]]:
    """Yield what an error keeps neither in ``args`` nor in its dictionary, such as ``errno``."""
    for cls in type(error).__mro__:
        for name, slot in vars(cls).items():
            if not isinstance(slot, MemberDescriptorType | GetSetDescriptorType):
                continue
            if name.startswith("__") or name in ("args", "exceptions"):
                continue
            try:
                value = slot.__get__(error, type(error))
                Codec().encode(value)
            except (AttributeError, NotPortable):
                continue
            if value is not None:
                yield name, value


def _size(failure: dict[str, Any]) -> int:
    # In three lists, because the reply around it counts against the depth of values too.
    message, buffers = Codec().encode([[[failure]]])
    return len(message) + sum(buffer.nbytes for buffer in buffers)


def _portable(value: Any) -> Any:
    try:
        Codec().encode(value)
    except NotPortable:
        return shown(value, _LONGEST)
    return value


def _text(error: BaseException) -> str:
    try:
        return _exact(str(error))
    except Exception as broken:  # noqa: BLE001  (a driver's __str__ may fail in any way)
        return f"<{type(error).__name__} whose text cannot be shown: {type(broken).__name__}>"


def _notes(error: BaseException) -> list[str]:
    try:
        notes = vars(error).get("__notes__")
    except Exception:  # noqa: BLE001  (as above)
        return []
    return [_exact(note) for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _exact(text: str) -> str:
    """Return a `str` for what may be of a subclass, which has no form on the wire."""
    return "".join((text,))


def _traceback(error: BaseException) -> str:
    """Return the traceback from the first frame that is not ours on, without the notes."""
    # Past what a class makes of reading attributes.
    first: TracebackType | None = vars(BaseException)["__traceback__"].__get__(error)
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OURS):
        first = first.tb_next
    try:
        formatted = traceback.TracebackException(type(error), error, first)
        formatted.__notes__ = None  # type: ignore[attr-defined]
        return "".join(formatted.format()).rstrip()
    except Exception:  # noqa: BLE001  (as above)
        return "".join(traceback.format_tb(first)).rstrip()
