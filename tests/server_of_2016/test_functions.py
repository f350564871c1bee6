"""Functions, methods and command strings of instruments on a server, as the server of 2016 had them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from qcodes.validators import Numbers

from .bench import Bench, Gates

# QCoDeS of today would rather not have functions called by name.
pytestmark = pytest.mark.filterwarnings("ignore:Use of:PendingDeprecationWarning")


@pytest.mark.parametrize(
    "call",
    [
        lambda gates: gates.call("echo", 1.5),
        lambda gates: gates.echo.call(1.5),
        lambda gates: gates.echo(1.5),
        lambda gates: gates["echo"].call(1.5),
        lambda gates: gates["echo"](1.5),
    ],
    ids=["call", "attribute.call", "attribute", "item.call", "item"],
)
def test_a_function_is_called_in_five_ways(
    bench: Bench, gates: Gates, call: Callable[[Gates], float]
) -> None:
    assert call(gates) == 1.5
    assert bench.history == ["gates echo 1.50"]


@pytest.mark.parametrize("args", [(), (1, 2), ("one",), (2000,)], ids=str)
def test_a_function_refuses_what_its_validators_refuse_and_sends_nothing(
    bench: Bench, gates: Gates, args: tuple[object, ...]
) -> None:
    error = ValueError if args == (2000,) else TypeError
    with pytest.raises(error):
        gates.echo(*args)
    with pytest.raises(error):
        gates.functions["echo"].validate(*args)
    assert bench.history == []


def test_a_function_added_from_here_is_usable_at_once(bench: Bench, gates: Gates) -> None:
    gates.add_function("zero", call_cmd="c{}:0", args=[Numbers(0, 2)])
    gates.zero(1)
    assert bench.history == ["gates c1:0"]
    with pytest.raises(KeyError, match="Duplicate function name zero"):
        gates.add_function("zero", call_cmd="rst")


def test_a_function_tells_its_arguments(gates: Gates) -> None:
    assert [repr(validator) for validator in gates.echo._args] == ["<Numbers 0<=v<=1000>"]
    assert [repr(validator) for validator in gates.getattr("echo._args")] == ["<Numbers 0<=v<=1000>"]


def test_docstrings_are_those_of_the_driver(gates: Gates) -> None:
    assert gates.reset.__doc__ == "Set all gates to 0 V."
    assert "Voltage of gate 1." in gates.chan1.__doc__
    assert gates.add5.__doc__ == "Return the sum, and 5 more; made by the constructor."


def test_command_strings_reach_the_driver_s_own_code(bench: Bench, gates: Gates) -> None:
    gates.write("c0:0.5")
    assert gates.ask("c0?") == "0.5"
    with pytest.raises(ValueError, match="unknown command 'what'"):
        gates.ask("what")
    assert gates.ask("c0?") == "0.5"


def test_an_instrument_without_ask_and_write_says_so(bench: Bench) -> None:
    with pytest.raises(NotImplementedError, match="Bench has not defined an ask method"):
        bench.ask("c0?")
    with pytest.raises(NotImplementedError, match="Bench has not defined a write method"):
        bench.write("c0:1")
