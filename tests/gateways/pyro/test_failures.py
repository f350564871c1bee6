"""Every error leaves the gateway as one that each client of Pyro5 can make again."""

from __future__ import annotations

from typing import Any

import pytest
from Pyro5.serializers import serializers

from instrumentserver import CallTimeout, RemoteError, ServerLost, UnknownName
from instrumentserver.gateways.pyro.failures import as_builtin, remote_traceback


class TaggerError(Exception):
    pass


class RangeError(ValueError):
    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)

    def __str__(self) -> str:
        return "outside"


class Unreadable(UnicodeDecodeError):
    pass


def at_client(error: Exception) -> Exception:
    """Return the error as a client of Pyro5 gets it."""
    pyro = serializers["serpent"]
    error._pyroTraceback = ["line\n"]  # type: ignore[attr-defined]
    made: Exception = pyro.loads(pyro.dumps(error))
    return made


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no", 2),
        KeyError("a"),
        FileNotFoundError(2, "No such file", "x"),
        ZeroDivisionError(),
        StopIteration(3),
        TimeoutError("late"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_python_itself_stay_as_they_are(error: Exception) -> None:
    got = at_client(as_builtin(error))
    assert (type(got), str(got)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("error", "cls", "words"),
    [
        (TaggerError("broken"), RuntimeError, f"{__name__}.TaggerError: broken"),
        (RangeError(1, 2), ValueError, f"{__name__}.RangeError: outside"),
        (UnknownName("no such"), ValueError, "instrumentserver.errors.UnknownName: no such"),
        (RemoteError("broken", "TimeTagger.Error"), RuntimeError, "TimeTagger.Error: broken"),
        (ServerLost("gone"), ConnectionError, "instrumentserver.errors.ServerLost: gone"),
        (CallTimeout("late"), TimeoutError, "instrumentserver.errors.CallTimeout: late"),
        (UnicodeDecodeError("ascii", b"\xff", 0, 1, "why"), UnicodeError, "UnicodeDecodeError: 'ascii'"),
        (Unreadable("ascii", b"\xff", 0, 1, "why"), UnicodeError, "Unreadable: "),
        (ExceptionGroup("two", [ValueError("a"), TaggerError("b")]), RuntimeError, "two (2 sub-exceptions)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_other_errors_become_the_nearest_of_pythons_own(error: Exception, cls: type, words: str) -> None:
    got = at_client(as_builtin(error))
    assert type(got) is cls
    assert words in str(got)


def test_arguments_that_cannot_travel_become_text() -> None:
    got = at_client(as_builtin(ValueError("bad", object, {1: 2})))
    assert got.args == ("bad", "<class 'object'>", {1: 2})


def test_notes_and_the_servers_traceback_arrive() -> None:
    error = TaggerError("broken")
    error.add_note("check the cable")
    error.add_note("Traceback on server 'foo' (pid 1):\n  File 'x', line 1\nTaggerError: broken")
    got: Any = at_client(as_builtin(error))
    assert got.__notes__ == error.__notes__
    lines = remote_traceback(as_builtin(error))
    assert lines == ["Traceback on server 'foo' (pid 1):\n", "  File 'x', line 1\n", "TaggerError: broken"]
    assert remote_traceback(ValueError()) is None
