"""Every row of "What differs from a local instrument" is true, for the local instrument and for the remote one."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import io
import os
import pickle
import random
import re
import tempfile
import threading
import timeit
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock

import pytest
from qcodes.instrument import Instrument
from qcodes.parameters import Parameter
from qcodes.station import Station
from qcodes.validators import Numbers, Validator

from instrumentserver import (
    NotPortable,
    RemoteError,
    RemoteInstrument,
    Server,
    UnknownName,
    UsageError,
    connect,
    find_instrument,
    start_server,
)

from . import differing
from .differing import Differing

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "reference" / "differences.md"
ELSEWHERE: Final = {
    "classes that derive from": "process/test_lab.py::test_an_instrument_that_qcodes_does_not_register",
    "two threads in one driver": "server/test_calls.py::test_calls_on_one_instrument_are_serial",
    "an instrument that calls back": "server/test_calls.py::test_a_call_that_comes_back_is_refused_with_the_chain",
    "Ctrl-C during a call": "process/test_notebook.py::test_server_finishes_the_call_that_was_interrupted",
    "the end of the process": "process/test_scripts.py::test_instruments_outlive_the_script_for_the_next_one",
    "a forked child": "process/test_scripts.py::test_forked_child_does_not_close_the_instruments_of_its_parent",
}
"""Rows that another test of the project checks, by their beginning."""

Check = Callable[[Any, Any], None]
CHECKS: Final[dict[str, Check]] = {}
"""By the beginning of the row; called with the local instrument and the remote one."""


def row(beginning: str) -> Callable[[Check], Check]:
    """Register a check for the row that begins so."""

    def register(check: Check) -> Check:
        assert beginning not in CHECKS
        CHECKS[beginning] = check
        return check

    return register


def rows() -> list[str]:
    """Return the first cells of the tables of the page."""
    cells = re.findall(r"^\| (.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return [cell for cell in cells if cell != "what"]


@pytest.fixture
def local() -> Iterator[Differing]:
    """Yield the local instrument."""
    instrument = Differing("here")
    yield instrument
    instrument.close()


@pytest.fixture
def remote(server: Server) -> Any:
    """Return the remote one."""
    return server.create(Differing, "there")


def test_every_row_has_a_check_and_every_check_a_row() -> None:
    known = (*CHECKS, *ELSEWHERE)
    assert [cell for cell in rows() if not cell.startswith(known)] == []
    assert [text for text in known if not any(cell.startswith(text) for cell in rows())] == []


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_checks_that_are_elsewhere_are_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert f"def {name}(" in (TESTS / file).read_text("utf-8")


@pytest.mark.parametrize("beginning", CHECKS)
def test_row_is_true(beginning: str, local: Differing, remote: Any) -> None:
    CHECKS[beginning](local, remote)


# Type and identity


@row("`type()`")
def _(local: Any, remote: Any) -> None:
    assert type(local) is Differing
    assert issubclass(type(remote), RemoteInstrument)
    assert type(remote).__name__ == "RemoteInstrument"
    assert not issubclass(type(remote), Differing)
    assert type(remote.x).__name__ == "RemoteParameter"
    assert (isinstance(remote, Differing), remote.__class__) == (True, Differing)
    assert isinstance(remote.x, Parameter)
    assert repr(remote) == "<Differing: there>"
    assert remote.snapshot()["__class__"] == local.snapshot()["__class__"]


@row("a driver's function called through its class")
def _(local: Any, remote: Any) -> None:
    assert Differing.pid(local) == os.getpid()
    assert Differing.pid(remote) == os.getpid()
    assert remote.pid() != os.getpid()


@row("pickle and copy")
def _(local: Any, remote: Any) -> None:
    with pytest.raises(RuntimeError, match="can not be pickled"):
        pickle.dumps(local)
    assert pickle.loads(pickle.dumps(remote)) is remote
    assert copy.deepcopy(remote) is remote
    assert copy.copy(remote.x) is remote.x


@row("`vars(inst)`, and private names")
def _(local: Any, remote: Any) -> None:
    assert ("_secret" in vars(local), "_secret" in dir(local)) == (True, True)
    assert ("_secret" in vars(remote), "_secret" in dir(remote)) == (False, False)
    remote._secret = 2
    assert remote._secret == 2


@row("methods")
def _(local: Any, remote: Any) -> None:
    assert inspect.ismethod(local.fill)
    assert not inspect.ismethod(remote.fill)
    assert not hasattr(remote.fill, "__self__")
    assert inspect.signature(remote.fill).parameters.keys() == inspect.signature(local.fill).parameters.keys()
    assert (remote.fill.__doc__, remote.fill.__name__) == ("Change the argument.", "fill")


@row("`getattr`, `setattr`, `delattr`")
def _(local: Any, remote: Any) -> None:
    for name in ("getattr", "setattr", "delattr", "callattr", "update", "restart"):
        assert (hasattr(local, name), hasattr(remote, name)) == (False, True)


@row("special methods for arithmetic, order and comparison")
def _(local: Any, remote: Any) -> None:
    assert (len(local), local + 1) == (3, 4)
    assert len(remote) == 3
    with pytest.raises(TypeError, match="unsupported operand"):
        remote + 1


# Values


@row("mutable containers")
def _(local: Any, remote: Any) -> None:
    for instrument in (local, remote):
        instrument.table["b"] = 2
        instrument.metadata["sample"] = "A1"
        assert instrument.metadata == {"sample": "A1"}
    assert (local.table, remote.table) == ({"a": 1, "b": 2}, {"a": 1})
    remote.setattr("table['b']", 2)
    assert remote.table == local.table
    remote.table = {}
    assert remote.table == {}


@row("identity of returned values")
def _(local: Any, remote: Any) -> None:
    assert local.table is local.table
    assert remote.table is not remote.table
    assert remote.table == remote.table


@row("arguments that a method changes")
def _(local: Any, remote: Any) -> None:
    given: tuple[list[int], list[int]] = ([], [])
    local.fill(given[0])
    remote.fill(given[1])
    assert given == ([1], [])


@row("values that have no form on the wire")
def _(local: Any, remote: Any) -> None:
    assert local.give_helper() is local.helper
    with pytest.raises(NotPortable, match=r"Helper.*cannot travel"):
        remote.give_helper()


@row("attributes that are objects of the driver")
def _(local: Any, remote: Any) -> None:
    assert local.helper is local.helper
    assert remote.helper is not remote.helper
    assert remote.helper == remote.helper
    remote.helper.level = 5
    assert remote.helper.level == 5
    assert remote.is_helper(remote.helper)
    assert pickle.loads(pickle.dumps(remote.helper)) == remote.helper


@row("`bytearray`, `memoryview`")
def _(local: Any, remote: Any) -> None:
    assert type(local.raw()) is bytearray
    assert type(remote.raw()) is bytes


@row("validators, `inst.x.vals`")
def _(local: Any, remote: Any) -> None:
    assert local.x.vals is local.x.vals
    remote.x.vals._max_value = 1
    remote.x(3)
    remote.x.vals = Numbers(0, 1)
    for check in (remote.x, remote.x.validate):
        with pytest.raises(ValueError, match="between 0 and 1"):
            check(3)


@row("a validator of your own class")
def _(local: Any, remote: Any) -> None:
    class Even(Validator[int]):
        def validate(self, value: int, context: str = "") -> None:
            if value % 2:
                raise ValueError(f"{value} is odd; {context}")

    local.x.vals = Even()
    with pytest.raises(ValueError, match="3 is odd"):
        local.x(3)
    with pytest.raises(NotPortable, match=r"validator .* cannot travel"):
        remote.x.vals = Even()


@row("objects as arguments of a constructor")
def _(local: Any, remote: Any) -> None:
    server = connect(remote._link.session.address)
    with pytest.raises(NotPortable, match="cannot travel"):
        server.create(Differing, "with_lock", given=threading.Lock())
    with_function = server.create(Differing, "with_function", given=lambda: "shipped")
    assert with_function.call_given() == "shipped"


@row("`async` methods")
def _(local: Any, remote: Any) -> None:
    assert asyncio.run(local.later()) == "later"
    # The coroutine is never awaited, of which Python warns there.
    with warnings.catch_warnings(action="ignore"), pytest.raises(NotPortable, match="coroutine"):
        remote.later()


# Parameters


@row("assigning over a parameter")
def _(local: Any, remote: Any) -> None:
    local.extra = local.add_parameter("extra", set_cmd=None)
    local.extra = 3
    assert local.extra == 3
    with pytest.raises(AttributeError, match=r"set its value with x\(3\)"):
        remote.x = 3


@row("`on_set_callback` set on a proxy's parameter")
def _(local: Any, remote: Any) -> None:
    fired: list[Any] = []
    remote.x.on_set_callback = lambda parameter, value: fired.append((parameter, value))
    remote.x(2)
    assert fired == [(remote.x, 2)]
    # A set that is not made with this process's proxy: the driver's own.
    remote.callattr("x.set", 3)
    assert fired == [(remote.x, 2)]
    remote.watched(4)
    assert remote.fired == [4]


@row("`settable` inside `set_to()`")
def _(local: Any, remote: Any) -> None:
    with remote.x.set_to(1):
        assert (remote.x.settable, remote.getattr("x.settable")) == (False, True)
        with pytest.raises(NotImplementedError, match="no set cmd"):
            remote.x(2)


@row("adding to `inst.parameters[...]` directly")
def _(local: Any, remote: Any) -> None:
    remote.parameters["direct"] = Parameter("direct", set_cmd=None, initial_value=1)
    remote.add_parameter("function", get_cmd=lambda: 2)
    remote.add_parameter("value", set_cmd=None, initial_value=3)
    assert {"direct", "function", "value"} <= remote.snapshot()["parameters"].keys()
    assert remote.function() == 2
    there = remote.callattr("snapshot")["parameters"].keys()
    assert "value" in there
    assert not {"direct", "function"} & there


@row("replacing a method or attribute by a function")
def _(local: Any, remote: Any) -> None:
    for instrument in (local, remote):
        instrument.pid = Mock(return_value="patched")
        assert instrument.pid() == "patched"
    assert local.call_pid() == "patched"
    assert remote.call_pid() != "patched"


@row("a new attribute")
def _(local: Any, remote: Any) -> None:
    remote.note = 1
    assert remote.note == 1
    with pytest.raises(AttributeError):
        remote.getattr("note")
    remote.setattr("note", 2)
    assert remote.getattr("note") == 2


@row("`cache`")
def _(local: Any, remote: Any) -> None:
    assert type(remote.x.cache).__name__ == "RemoteCache"
    public = {name for name in dir(local.x.cache) if not name.startswith("_")}
    assert public <= set(dir(remote.x.cache))


# Where the driver's code runs


@row("threads: `threading.get_ident()`")
def _(local: Any, remote: Any) -> None:
    assert local.thread() == threading.get_ident()
    assert remote.thread() != threading.get_ident()
    with pytest.raises(ValueError, match="main thread"):
        remote.handle_signals()


@row("working directory, environment")
def _(local: Any, remote: Any) -> None:
    before = Path.cwd()
    os.environ["DIFFERING"] = "new"
    os.chdir("/")
    try:
        assert (local.folder(), local.variable("DIFFERING")) == ("/", "new")
        assert (remote.folder(), remote.variable("DIFFERING")) == (str(before), None)
    finally:
        os.chdir(before)
        del os.environ["DIFFERING"]


@row("`qcodes.config`, `Station.default`")
def _(local: Any, remote: Any) -> None:
    before = Station.default
    station = Station(local, remote)
    try:
        assert local.station() == ["here", "there"]
        assert remote.station() is None
    finally:
        station.close_and_remove_instrument("there")
        Station.default = before


@row("random seeds, module globals")
def _(local: Any, remote: Any) -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    assert remote.random() != expected
    assert local.random() == expected
    differing.MODULE_GLOBAL, before = "patched", differing.MODULE_GLOBAL
    try:
        assert (local.module_global(), remote.module_global()) == ("patched", "as it was")
    finally:
        differing.MODULE_GLOBAL = before


@row("`breakpoint()` and `input()`")
def _(local: Any, remote: Any) -> None:
    with pytest.raises(EOFError):
        remote.prompt()


@row("what the driver prints, logs and warns")
def _(local: Any, remote: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()) as printed:
        reached, go_on = f"{folder}/reached", f"{folder}/go_on"
        os.mkfifo(reached)
        os.mkfifo(go_on)
        call = threading.Thread(target=remote.print_and_meet, args=(reached, go_on))
        call.start()
        open(reached).close()  # The driver has printed, and waits.
        while_running = printed.getvalue()
        open(go_on, "w").close()
        call.join()
        assert (while_running, printed.getvalue()) == ("", "before\n")


@row("a warning that your filters make an error")
def _(local: Any, remote: Any) -> None:
    for instrument in (local, remote):
        with pytest.raises(UserWarning, match="old filter"):
            instrument.warn_and_go_on()
    assert (local.went_on, remote.went_on) == (False, True)


@row("`print` at other times")
def _(local: Any, remote: Any) -> None:
    with redirect_stdout(io.StringIO()) as printed:
        remote.print_in_thread("only in the log")
    assert printed.getvalue() == ""
    assert connect(remote._link.session.address).log(1) == "only in the log"


# Time


@row("a `get`, a label, a limit")
def _(local: Any, remote: Any) -> None:
    seconds = min(timeit.repeat(lambda: remote.x.label, number=200, repeat=5)) / 200
    assert 5e-6 < seconds < 400e-6


@row("other calls between two of yours")
def _(local: Any, remote: Any) -> None:
    remote.x(1)
    other = threading.Thread(target=remote.callattr, args=("x.set", 2))
    other.start()
    other.join()
    assert remote.x() == 2


# Errors


@row("an error class that this process has not imported")
def _(local: Any, remote: Any) -> None:
    with pytest.raises(RemoteError, match=r"vendor\.Private: broken") as caught:
        remote.raise_private()
    assert caught.value.class_name == "vendor.Private"


@row("`error.__cause__`")
def _(local: Any, remote: Any) -> None:
    for instrument, cause in ((local, ZeroDivisionError), (remote, type(None))):
        with pytest.raises(ValueError, match="no reading") as caught:
            instrument.raise_caused()
        assert type(caught.value.__cause__) is cause
    assert "ZeroDivisionError: division by zero" in caught.value.__notes__[0]
    assert "in raise_caused" in caught.value.__notes__[0]


@row("`SystemExit` and `KeyboardInterrupt`")
def _(local: Any, remote: Any) -> None:
    for call in (remote.raise_interrupt, remote.leave):
        with pytest.raises(RemoteError):
            call()


# Life


@row("throwing the object away")
def _(local: Any, remote: Any) -> None:
    server = connect(remote._link.session.address)
    thrown = server.create(Differing, "thrown")
    thrown.x(4)
    del thrown
    gc.collect()
    assert server.instruments["thrown"].x() == 4


@row("`close()`")
def _(local: Any, remote: Any) -> None:
    remote._link.session.request(["close", "there"])  # as another client does
    with pytest.raises(UnknownName, match=r"'there' was closed by .* at \d{4}-"):
        remote.x()


@row("`Instrument.close_all()`, `Driver.instances()`")
def _(local: Any, remote: Any) -> None:
    server = connect(remote._link.session.address)
    assert {instrument.name for instrument in Differing.instances()} == {"here", "there"}
    server.create(Differing, "forgotten")
    gc.collect()
    assert {instrument.name for instrument in Differing.instances()} == {"here", "there"}
    assert find_instrument("forgotten").name == "forgotten"
    Instrument.close_all()
    assert list(server.instruments) == []


@row("names")
def _(local: Any, remote: Any) -> None:
    first, second = connect(remote._link.session.address), start_server("second")
    with pytest.raises(KeyError, match="Another instrument has the name: here"):
        second.create(Differing, "here")
    first.instruments["there"]._forget()
    second.create(Differing, "there")._forget()
    with pytest.raises(UsageError, match="choose one"):
        find_instrument("there")
