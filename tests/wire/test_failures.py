from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fingerprints import fingerprint
from pyvisa import constants
from pyvisa.errors import VisaIOError
from qcodes.parameters import Parameter

from instrumentserver.errors import RemoteError, ServerLost, UnknownName
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.failures import dump_failure, load_failure

LARGE = 17 << 20
WHERE = "server 'foo' (pid 123)"


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def journey(error: BaseException, where: str = WHERE) -> Exception:
    """Return what is raised at the client for an error at the server."""
    failure = dump_failure(raised(error), where)
    message, buffers = Codec().encode([0, None, None, failure])
    return load_failure(Codec().decode(message, [memoryview(bytearray(buffer)) for buffer in buffers])[3])


def changed(error: BaseException, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class Unshown:
    """A value with no form on the wire, and with a text that is not its repr."""

    def __str__(self) -> str:
        return "as text"

    def __repr__(self) -> str:
        return "as repr"


class Shy:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class DriverError(Exception):
    """An error as drivers make them."""


class Picky(Exception):
    """An error that makes its text out of other arguments, and counts."""

    made = 0

    def __init__(self, code: int, *, channel: str) -> None:
        super().__init__(f"error {code} on {channel}")
        self.code = code
        self.channel = channel
        Picky.made += 1


class Silent(Exception):
    """An error that hands nothing on, and whose text comes from elsewhere."""

    def __init__(self, line: Any) -> None:
        self.line = line

    def __str__(self) -> str:
        return f"the device said {self.line}"


class Choosy(Exception):
    """An error that is not made by its constructor alone."""

    def __new__(cls, text: str, number: int) -> Choosy:
        assert number > 0
        return super().__new__(cls, text)

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)


class Slotted(Exception):
    """An error that keeps its data in slots."""

    __slots__ = ("__hidden", "code", "unset")

    def __init__(self, code: int) -> None:
        super().__init__("slotted")
        self.code = code
        self.__hidden = "yes"

    def hidden(self) -> str:
        """Return what a mangled name keeps."""
        return self.__hidden


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that refuses assignments."""

    code: int


class Mixed(DriverError, OSError):
    """An error of two families."""


class Broken(Exception):
    """An error whose text cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Registered(Exception):
    """An error whose class refuses to be a base class."""

    def __init_subclass__(cls, *, code: int) -> None:
        """Demand a code."""


class Group(ExceptionGroup[Exception]):
    """A group with data of its own."""

    def derive(self, excs: Any) -> Group:
        """Return a part of the group."""
        return Group(self.message, excs)


ERRORS: dict[str, Callable[[], Exception]] = {
    "no arguments": ValueError,
    "several arguments": lambda: ValueError("text", 5, (1.5, None)),
    "KeyError": lambda: KeyError("name"),
    "KeyError without a form": lambda: KeyError(Unshown()),
    "ValueError without a form": lambda: ValueError(Unshown()),
    "two without a form": lambda: ValueError(Unshown(), "x"),
    "OSError": lambda: OSError("boom"),
    "OSError with errno": lambda: OSError(5, "io"),
    "FileNotFoundError": lambda: FileNotFoundError(2, "no such file", "a"),
    "two files": lambda: OSError(18, "cross-device link", "a", None, "b"),
    "TimeoutError": lambda: TimeoutError(110, "timed out"),
    "BlockingIOError": lambda: BlockingIOError(11, "again", 3),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid start byte"),
    "UnicodeEncodeError": lambda: UnicodeEncodeError("ascii", "aµ", 1, 2, "ordinal not in range"),
    "UnicodeTranslateError": lambda: UnicodeTranslateError("aµ", 1, 2, "no"),
    "ImportError": lambda: ImportError("no module", name="a", path="b"),
    "ModuleNotFoundError": lambda: ModuleNotFoundError("No module named 'a'", name="a"),
    "SyntaxError": lambda: SyntaxError("bad", ("file.py", 3, 5, "text", 3, 7)),
    "StopIteration": lambda: StopIteration(5),
    "AttributeError": lambda: AttributeError("no x", name="x", obj=Unshown()),
    "NameError": lambda: NameError("no x", name="x"),
    "ZeroDivisionError": lambda: ZeroDivisionError("division by zero"),
    "JSONDecodeError": lambda: json.JSONDecodeError("bad", "{", 1),
    "CalledProcessError": lambda: subprocess.CalledProcessError(3, ["cmd"], b"out", b"err"),
    "numpy": lambda: np.exceptions.AxisError(3, 2),
    "VisaIOError": lambda: VisaIOError(constants.StatusCode.error_timeout),
    "our own": lambda: ServerLost("gone"),
    "our own of two families": lambda: UnknownName("no such name"),
    "RemoteError": lambda: RemoteError("from further away", "vendor.Error"),
    "other constructor": lambda: Picky(5, channel="ch1"),
    "text from elsewhere": lambda: Silent("hello"),
    "text from what has no form": lambda: Silent(Unshown()),
    "other __new__": lambda: Choosy("text", 1),
    "slots": lambda: Slotted(5),
    "frozen": lambda: Frozen(3),
    "two families": lambda: Mixed(5, "io"),
    "a text of another class": lambda: ValueError(np.str_("text")),
    "text without a form for its characters": lambda: ValueError("\ud800"),
    "broken text": lambda: Broken("x"),
    "group": lambda: ExceptionGroup("several", [ValueError(1), KeyError("x")]),
    "groups inside groups": lambda: ExceptionGroup(
        "a", [ExceptionGroup("b", [OSError(5, "io")]), Picky(1, channel="c")]
    ),
    "group of a class": lambda: changed(Group("several", [ValueError(1)]), code=5),
}


def text(error: BaseException) -> str:
    try:
        return str(error)
    except RuntimeError:
        return ""


@pytest.mark.parametrize("name", ERRORS)
def test_the_class_is_kept(name: str) -> None:
    error = ERRORS[name]()

    arrived = journey(error)

    assert isinstance(arrived, type(error))
    assert (type(arrived).__module__, type(arrived).__qualname__) == (
        type(error).__module__,
        type(error).__qualname__,
    )


@pytest.mark.parametrize("name", ERRORS)
def test_the_text_is_kept(name: str) -> None:
    error = ERRORS[name]()

    assert text(journey(error)) == text(error)


@pytest.mark.parametrize("name", [name for name in ERRORS if "form" not in name and "group" not in name])
def test_the_arguments_are_kept(name: str) -> None:
    error = ERRORS[name]()

    assert fingerprint(journey(error).args) == fingerprint(error.args)


@pytest.mark.parametrize("name", [name for name in ERRORS if name != "frozen"])
def test_what_qcodes_appends_to_the_arguments_changes_nothing_else(name: str) -> None:
    plain, extended = ERRORS[name](), ERRORS[name]()
    extended.args = (*extended.args, "getting dac.ch1.v")

    arrived = journey(extended)

    assert arrived.args[-1] == "getting dac.ch1.v"
    assert isinstance(arrived, type(plain))
    assert text(arrived) == text(extended)


def test_an_error_that_qcodes_has_extended_arrives_extended() -> None:
    parameter = Parameter("v", get_cmd=lambda: Path("/no/such/file").read_text(), instrument=None)
    with pytest.raises(FileNotFoundError) as caught:
        parameter.get()

    arrived = journey(caught.value)

    assert isinstance(arrived, FileNotFoundError)
    assert (str(arrived), arrived.errno, arrived.filename) == (str(caught.value), 2, "/no/such/file")
    assert arrived.args == caught.value.args == (2, "No such file or directory", "getting v")


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("OSError", {"errno": None, "strerror": None, "filename": None}),
        ("OSError with errno", {"errno": 5, "strerror": "io", "filename": None}),
        ("FileNotFoundError", {"errno": 2, "filename": "a"}),
        ("two files", {"filename": "a", "filename2": "b"}),
        ("BlockingIOError", {"characters_written": 3}),
        ("UnicodeDecodeError", {"encoding": "utf-8", "object": b"a\xff", "start": 1, "end": 2}),
        ("UnicodeTranslateError", {"object": "aµ", "reason": "no"}),
        ("ImportError", {"msg": "no module", "name": "a", "path": "b"}),
        ("SyntaxError", {"filename": "file.py", "lineno": 3, "offset": 5, "text": "text", "end_offset": 7}),
        ("StopIteration", {"value": 5}),
        ("AttributeError", {"name": "x", "obj": None}),
        ("CalledProcessError", {"returncode": 3, "stderr": b"err"}),
        ("VisaIOError", {"error_code": constants.StatusCode.error_timeout}),
        ("RemoteError", {"class_name": "vendor.Error"}),
        ("other constructor", {"code": 5, "channel": "ch1"}),
        ("text from what has no form", {"line": "as repr"}),
        ("slots", {"code": 5}),
        ("frozen", {"code": 3}),
        ("two families", {"errno": 5}),
        ("group of a class", {"code": 5, "message": "several"}),
    ],
)
def test_attributes_are_kept(name: str, attributes: dict[str, Any]) -> None:
    arrived = journey(ERRORS[name]())

    assert {key: getattr(arrived, key) for key in attributes} == attributes


def test_slots_with_a_hidden_name_are_kept() -> None:
    arrived = journey(Slotted(1))

    assert isinstance(arrived, Slotted)
    assert arrived.hidden() == "yes"


def test_arrays_in_an_error_are_kept() -> None:
    array = np.arange(1000.0)

    assert fingerprint(journey(ValueError("trace", array)).args[1]) == fingerprint(array)


def test_no_constructor_runs_at_the_receiver() -> None:
    error = Picky(1, channel="a")
    made = Picky.made

    journey(error)

    assert Picky.made == made


# Classes


def test_a_class_that_is_not_here_becomes_a_remote_error_with_its_name() -> None:
    unknown = type("VendorError", (ValueError,), {"__module__": "vendor.sdk"})

    arrived = journey(unknown("broken", 3))

    assert type(arrived) is RemoteError
    assert arrived.class_name == "vendor.sdk.VendorError"
    assert str(arrived) == "vendor.sdk.VendorError: ('broken', 3)"


def test_a_class_of_that_name_that_is_no_error_is_not_raised() -> None:
    impostor = type("int", (Exception,), {"__module__": "builtins"})

    arrived = journey(impostor("text"))

    assert type(arrived) is RemoteError


def test_a_class_that_refuses_to_be_rebuilt_becomes_a_remote_error() -> None:
    arrived = journey(Registered(Unshown()))

    assert type(arrived) is RemoteError
    assert arrived.class_name.endswith("Registered")


@pytest.mark.parametrize("cls", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_process_does_not_arrive_as_itself(cls: type[BaseException]) -> None:
    arrived = journey(cls("stop"))

    assert type(arrived) is RemoteError
    assert arrived.class_name == f"{cls.__module__}.{cls.__name__}"


def test_a_group_with_what_ends_a_process_does_not_arrive_as_itself() -> None:
    arrived = journey(BaseExceptionGroup("mixed", [ValueError(1), KeyboardInterrupt()]))

    assert type(arrived) is RemoteError


# Groups


def test_the_errors_of_a_group_can_be_caught_by_their_classes() -> None:
    caught = []
    try:
        raise journey(ExceptionGroup("a", [ExceptionGroup("b", [OSError(5, "io")]), Picky(1, channel="c")]))
    except* OSError as group:
        caught.append(group.exceptions)
    except* Picky as group:
        caught.append(group.exceptions)

    assert len(caught) == 2


def test_each_error_of_a_group_has_its_own_traceback() -> None:
    arrived = journey(ExceptionGroup("several", [raised(ValueError(1))]))  # type: ignore[list-item]

    assert isinstance(arrived, ExceptionGroup)
    assert "in raised" in arrived.exceptions[0].__notes__[-1]


def test_an_error_inside_a_group_that_is_not_here_becomes_a_remote_error() -> None:
    unknown = type("VendorError", (ValueError,), {"__module__": "vendor.sdk"})

    arrived = journey(ExceptionGroup("several", [unknown("x"), KeyError("y")]))

    assert isinstance(arrived, ExceptionGroup)
    assert [type(part) for part in arrived.exceptions] == [RemoteError, KeyError]


# What is shown


def test_the_traceback_of_the_server_is_shown_under_the_error() -> None:
    shown = "".join(traceback.format_exception(journey(ValueError("broken"))))

    message, heading = shown.index("ValueError: broken"), shown.index("Traceback on server 'foo' (pid 123):")
    assert message < heading < shown.index("raise error")


def test_the_cause_is_shown_in_the_traceback() -> None:
    error = changed(ValueError("effect"), __cause__=KeyError("the cause"))

    assert "the cause" in journey(error).__notes__[-1]


def test_notes_are_kept_in_order_before_the_traceback() -> None:
    error = ValueError("x")
    error.add_note("first")
    error.add_note("second")

    assert journey(error).__notes__[:2] == ["first", "second"]


def test_notes_are_shown_once() -> None:
    error = ValueError("x")
    error.add_note("only once")

    shown = "".join(traceback.format_exception(journey(error)))

    assert shown.count("only once") == 1


def test_an_error_that_passes_two_servers_shows_both() -> None:
    arrived = journey(journey(Picky(1, channel="a"), "server 'far'"), "server 'near'")

    assert [note.splitlines()[0] for note in arrived.__notes__] == [
        "Traceback on server 'far':",
        "Traceback on server 'near':",
    ]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_that_passes_two_servers_stays_the_same(name: str) -> None:
    error = ERRORS[name]()

    arrived = journey(journey(error))

    assert isinstance(arrived, type(error))
    assert text(arrived) == text(error)


def test_a_path_that_begins_like_ours_is_shown() -> None:
    ours = sys.modules["instrumentserver"].__file__ or ""
    code = compile(
        "def fail(): raise ValueError", ours.replace("__init__.py", "")[:-1] + "_drivers/x.py", "exec"
    )
    scope: dict[str, Any] = {}
    exec(code, scope)
    try:
        scope["fail"]()
    except ValueError as error:
        failure = dump_failure(error, WHERE)

    assert "in fail" in failure["traceback"]


# Nothing stops an error


class Bottomless(Exception):
    """An error that raises whenever it is asked for something."""

    def __str__(self) -> str:
        raise RecursionError

    __repr__ = __str__


def deep(error: Exception, depth: int) -> Exception:
    for _ in range(depth):
        error = ExceptionGroup("deep", [error])
    return error


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "error",
    [
        ValueError(Shy()),
        changed(ValueError("x"), shy=Shy()),
        Bottomless(Bottomless()),
        deep(ValueError(1), 5000),
        deep(ValueError(1), 400),
        ValueError(nested(1015)),
        pytest.param(ValueError(b"x" * LARGE), marks=pytest.mark.slow),
        ValueError(np.zeros(LARGE, "u1")),
        changed(ValueError("x"), __notes__="no list"),
        changed(ValueError("x"), __notes__=[5, np.str_("note")]),
        type("Odd", (Exception,), {"__str__": lambda self: np.str_("text")})(),
    ],
    ids=[
        "argument that cannot be shown",
        "attribute that cannot be shown",
        "error that cannot be shown",
        "bottomless groups",
        "deep groups",
        "deep argument",
        "large argument",
        "large array",
        "notes that are no list",
        "notes that are no text",
        "text of another class",
    ],
)
def test_no_error_is_so_odd_that_it_cannot_travel(error: Exception) -> None:
    assert isinstance(journey(error), Exception)


def test_a_large_error_leaves_its_arguments_behind() -> None:
    message, buffers = Codec().encode(dump_failure(ValueError(np.zeros(LARGE, "u1")), WHERE))

    assert len(message) + sum(buffer.nbytes for buffer in buffers) < 1 << 20


def test_a_large_error_keeps_its_class_and_the_beginning_of_its_text() -> None:
    arrived = journey(ValueError("x" * LARGE))

    assert type(arrived) is ValueError
    assert 1000 < len(str(arrived)) < 1 << 17
