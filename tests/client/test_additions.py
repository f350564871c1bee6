"""What one client adds to a remote instrument: for all where it can travel, else in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drivers import Onlooker, Plain, Sweep
from qcodes.instrument import ChannelTuple, InstrumentChannel, InstrumentModule
from qcodes.parameters import DelegateParameter, ManualParameter, Parameter
from qcodes.utils import QCoDeSDeprecationWarning
from qcodes.validators import Ints, Numbers

from instrumentserver import Server, start_server


class LocalParameter(Parameter):
    """A parameter class that no server has."""

    def get_raw(self) -> int:
        """Return the answer."""
        return 42


class LocalModule(InstrumentModule):
    """A module that is made in this process."""

    def __init__(self, parent: Any, name: str) -> None:
        super().__init__(parent, name)
        self.add_parameter("total", get_cmd=lambda: parent.x() + parent.ch1.v())


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("home")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def away(own_directory: str) -> Iterator[Server]:
    """Yield the server that is another client."""
    server = start_server("away")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server, away: Server) -> Iterator[None]:
    """Close what a test made; the servers of the module go on."""
    yield
    for server in (away, home):
        for instrument in server.instruments.values():
            instrument.close()


@pytest.fixture
def plain(home: Server) -> Plain:
    return home.create(Plain, "plain")


@pytest.fixture
def onlooker(plain: Plain, away: Server) -> Onlooker:
    """Return another client, which knows the instrument as ``plain``."""
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.see("plain", plain=plain)
    return onlooker


# On the server


TRAVELLING: list[tuple[dict[str, Any], Any]] = [
    ({"set_cmd": None, "initial_value": 3, "unit": "V"}, 3),
    ({"parameter_class": ManualParameter, "initial_value": 4, "vals": Ints(0, 9)}, 4),
    ({"parameter_class": Sweep}, [0.0, 1.0, 4.0, 9.0, 16.0]),
]


@pytest.mark.parametrize(("arguments", "value"), TRAVELLING, ids=["values", "known class", "driver's class"])
def test_a_parameter_that_can_travel_is_there_for_every_client(
    plain: Plain, onlooker: Onlooker, arguments: dict[str, Any], value: Any
) -> None:
    added = plain.add_parameter("added", **arguments)
    assert added is plain.added is plain.parameters["added"]
    assert list(added()) == value if isinstance(value, list) else added() == value
    assert onlooker.see("list(plain.added())" if isinstance(value, list) else "plain.added()") == value
    kind = arguments.get("parameter_class", Parameter).__name__
    assert onlooker.see("plain.added.__class__.__name__") == kind
    assert "added" in plain.callattr("snapshot")["parameters"]


def test_a_parameter_that_stands_for_another_of_the_server_is_added_there(
    plain: Plain, onlooker: Onlooker
) -> None:
    gate = plain.add_parameter("gate", parameter_class=DelegateParameter, source=plain.ch1.v, scale=2)
    gate(1.5)
    assert plain.ch1.v() == onlooker.see("plain.ch1.v()") == 3.0
    assert onlooker.see("plain.gate()") == 1.5
    assert gate.source is plain.ch1.v


def test_a_parameter_over_another_server_s_is_added_on_the_server(
    plain: Plain, onlooker: Onlooker, away: Server
) -> None:
    far = away.create(Plain, "far")
    plain.add_parameter("far", parameter_class=DelegateParameter, source=far.x)
    onlooker.do("plain.far(2)")
    assert far.x() == plain.far() == 2


def test_a_parameter_of_a_module_is_added_there(plain: Plain, onlooker: Onlooker) -> None:
    plain.outs[1].add_parameter("range", set_cmd=None, initial_value=10)
    assert plain.outs[1].range() == onlooker.see("plain.outs[1].range()") == 10
    assert "range" not in plain.outs[0].parameters


def test_a_function_with_a_command_is_added_on_the_server(plain: Plain, onlooker: Onlooker) -> None:
    plain.add_function("reset", call_cmd="*RST", docstring="Back to the beginning.")
    with pytest.raises(NotImplementedError, match="write"):
        plain.reset()
    assert onlooker.see("(plain.x(), 'reset' in plain.functions)")[1]
    assert plain.functions["reset"].__doc__ == "Back to the beginning."


def test_what_is_removed_is_gone_for_every_client(plain: Plain, onlooker: Onlooker) -> None:
    plain.add_parameter("added", set_cmd=None)
    assert onlooker.see("(plain.x(), 'added' in plain.parameters)")[1]
    plain.remove_parameter("added")
    assert "added" not in plain.parameters
    assert not hasattr(plain, "added")
    assert not onlooker.see("(plain.x(), hasattr(plain, 'added'))")[1]


def test_what_another_client_added_is_here(plain: Plain, onlooker: Onlooker) -> None:
    onlooker.do("plain.add_parameter('theirs', set_cmd=None, initial_value=5)")
    assert plain.theirs() == 5
    assert "theirs" in plain.parameters


# In this process


def local_function(plain: Plain) -> Any:
    return plain.add_parameter("local", get_cmd=lambda: 2 * plain.x(), set_cmd=lambda v: plain.x(v / 2))


def local_class(plain: Plain) -> Any:
    return plain.add_parameter("local", LocalParameter, unit="A")


def local_source(plain: Plain) -> Any:
    source = ManualParameter("source", initial_value=6, unit="s")
    return plain.add_parameter("local", parameter_class=DelegateParameter, source=source)


def by_constructor(plain: Plain) -> Any:
    return Parameter("local", instrument=plain, get_cmd=lambda: 7)


ADDING = [local_function, local_class, local_source, by_constructor]


@pytest.mark.parametrize("add", ADDING)
def test_a_parameter_that_needs_this_process_stays_here(
    plain: Plain, onlooker: Onlooker, add: Callable[[Plain], Any]
) -> None:
    plain.x(3)
    onlooker.see("plain.x()")
    local = add(plain)
    assert plain.local is plain.parameters["local"] is local
    assert local() == {local_function: 6, local_class: 42, local_source: 6, by_constructor: 7}[add]
    assert (local.instrument, local.root_instrument, local.full_name) == (plain, plain, "plain_local")
    assert not onlooker.see("hasattr(plain, 'local')")
    assert "local" not in plain.callattr("snapshot")["parameters"]


def test_a_local_parameter_is_one_of_qcodes(plain: Plain) -> None:
    local = plain.add_parameter(
        "local", get_cmd=plain.x.get, set_cmd=lambda value: plain.x(value), vals=Numbers(0, 4), step=1
    )
    local(3)
    assert plain.written == [1, 2, 3]
    assert local.cache.get() == local.get_latest() == 3
    with pytest.raises(ValueError, match="between 0 and 4"):
        local.validate(5)
    with pytest.raises(ValueError, match="between 0 and 4"):
        local(5)
    plain.x(1)
    assert (local.cache.get(), local.get(), local.cache.get()) == (3, 1, 1)
    with local.set_to(2):
        assert plain.x() == 2
    assert plain.x() == 1


def test_a_parameter_is_kept_by_assignment_as_in_a_constructor(plain: Plain, onlooker: Onlooker) -> None:
    plain.mine = Parameter("mine", get_cmd=lambda: 1)
    assert plain.mine() == 1
    plain.update()
    assert plain.mine() == 1
    assert not onlooker.see("hasattr(plain, 'mine')")


@pytest.mark.parametrize("update", [True, False, None])
def test_snapshots_of_this_process_hold_what_it_added(plain: Plain, update: bool | None) -> None:
    plain.add_parameter("local", get_cmd=lambda: 5, unit="A")
    plain.outs[2].add_parameter("local", get_cmd=lambda: 6)
    plain.ch1.add_function("local", call_cmd=lambda: None)
    plain.local(), plain.outs[2].local()
    snapshot = plain.snapshot(update=update)
    assert (snapshot["parameters"]["local"]["value"], snapshot["parameters"]["local"]["unit"]) == (5, "A")
    assert snapshot["submodules"]["outs"]["channels"]["plain_out2"]["parameters"]["local"]["value"] == 6
    assert "local" in snapshot["submodules"]["ch1"]["functions"]
    assert plain.outs[2].snapshot(update=update)["parameters"]["local"]["value"] == 6
    assert "local" in plain.ch1.snapshot(update=update)["functions"]
    assert "local" not in snapshot["submodules"]["outs"]["channels"]["plain_out1"]["parameters"]


def test_the_snapshot_of_a_channel_list_holds_what_was_added_here(plain: Plain) -> None:
    plain.outs[2].add_parameter("local", get_cmd=lambda: 6)
    assert plain.outs.snapshot(update=True)["channels"]["plain_out2"]["parameters"]["local"]["value"] == 6
    part = plain.outs[1:3].snapshot(update=True)
    assert part["channels"]["plain_out2"]["parameters"]["local"]["value"] == 6


def test_a_local_parameter_may_be_left_out_of_snapshots(plain: Plain) -> None:
    plain.add_parameter("local", get_cmd=lambda: 5, snapshot_exclude=True)
    plain.add_parameter("silent", get_cmd=lambda: 5, snapshot_value=False)
    parameters = plain.snapshot(update=True)["parameters"]
    assert "local" not in parameters
    assert "value" not in parameters["silent"]


def test_a_local_part_survives_what_happens_to_the_tree(plain: Plain, onlooker: Onlooker) -> None:
    local = plain.add_parameter("local", get_cmd=lambda: 5)
    channel = plain.outs[0].add_parameter("local", get_cmd=lambda: 6)
    plain.add_function("double", call_cmd=lambda value: 2 * value, args=[Ints()])
    module = plain.add_submodule("module", LocalModule(plain, "module"))
    plain.grow("late")
    onlooker.do("plain.grow('later')")
    plain.update()
    plain.restart()
    assert plain.local is plain.parameters["local"] is local
    assert plain.outs[0].local is channel
    assert plain.double(4) == 8
    assert plain.module is plain.submodules["module"] is module


def test_a_local_part_can_be_removed_and_added_again(plain: Plain) -> None:
    plain.add_parameter("local", get_cmd=lambda: 5)
    plain.remove_parameter("local")
    assert "local" not in plain.parameters
    assert not hasattr(plain, "local")
    plain.update()
    assert "local" not in plain.snapshot()["parameters"]
    plain.add_parameter("local", get_cmd=lambda: 6)
    assert plain.local() == 6


def test_removing_what_is_not_there_is_a_key_error(plain: Plain) -> None:
    with pytest.raises(KeyError):
        plain.remove_parameter("nothing")


@pytest.mark.parametrize(
    "arguments", [{"set_cmd": None}, {"get_cmd": lambda: 1}], ids=["that can travel", "that stays here"]
)
@pytest.mark.parametrize("name", ["x", "there", "here"])
def test_a_name_that_is_taken_is_a_key_error(plain: Plain, name: str, arguments: dict[str, Any]) -> None:
    plain.add_parameter("there", set_cmd=None, initial_value=1)
    plain.add_parameter("here", get_cmd=lambda: 1)
    with pytest.raises(KeyError, match=f"Duplicate parameter name {name}"):
        plain.add_parameter(name, **arguments)
    with pytest.raises(KeyError, match="Duplicate"):
        Parameter(name, instrument=plain, get_cmd=lambda: 2)
    assert (plain.there(), plain.here(), plain.x()) == (1, 1, 0)


def test_names_of_functions_and_submodules_that_are_taken_are_key_errors(plain: Plain) -> None:
    plain.add_function("here", call_cmd=lambda: None)
    plain.add_submodule("module", LocalModule(plain, "module"))
    for name in ("echo", "here"):
        for command in ("*RST", lambda: None):
            with pytest.raises(KeyError, match=f"Duplicate function name {name}"):
                plain.add_function(name, call_cmd=command)
    for name in ("ch1", "outs", "module"):
        with pytest.raises(KeyError, match=f"Duplicate submodule name {name}"):
            plain.add_submodule(name, LocalModule(plain, name))


def test_wrong_arguments_are_told_as_qcodes_tells_them(plain: Plain) -> None:
    for name, command in (("local", lambda value: None), ("there", None)):
        with pytest.warns(QCoDeSDeprecationWarning), pytest.raises(TypeError, match="vals must be"):
            plain.add_parameter(name, set_cmd=command, vals="positive")
    assert {"local", "there"} & plain.parameters.keys() == set()


def test_a_local_function_checks_its_arguments_and_runs_here(plain: Plain, onlooker: Onlooker) -> None:
    plain.add_function("double", call_cmd=lambda value: plain.x(2 * value), args=[Ints(0, 2)])
    plain.double(2)
    assert plain.x() == 4
    with pytest.raises(ValueError, match="between 0 and 2"):
        plain.double(3)
    assert "double" in plain.snapshot()["functions"]
    assert not onlooker.see("(plain.x(), 'double' in plain.functions)")[1]


def test_a_module_of_this_process_belongs_to_the_instrument(plain: Plain) -> None:
    module = plain.add_submodule("module", LocalModule(plain, "module"))
    plain.x(1)
    plain.ch1.v(2)
    assert plain.module is plain.submodules["module"] is plain.instrument_modules["module"] is module
    assert (module.total(), module.full_name, module.root_instrument) == (3, "plain_module", plain)
    assert module.total.full_name == "plain_module_total"
    snapshot = plain.snapshot(update=True)["submodules"]["module"]
    assert snapshot["parameters"]["total"]["value"] == 3
    assert "module" not in plain.callattr("snapshot")["submodules"]


def test_a_module_of_this_process_below_a_remote_one(plain: Plain) -> None:
    class Gain(InstrumentChannel):
        def __init__(self, parent: Any, name: str) -> None:
            super().__init__(parent, name)
            self.add_parameter("gain", get_cmd=lambda: 3 * parent.v())

    plain.outs[1].add_submodule("amplifier", Gain(plain.outs[1], "amplifier"))
    plain.outs[1].v(2)
    assert plain.outs[1].amplifier.gain() == 6
    assert plain.outs[1].amplifier.gain.full_name == "plain_out1_amplifier_gain"
    channel = plain.snapshot()["submodules"]["outs"]["channels"]["plain_out1"]
    assert channel["submodules"]["amplifier"]["parameters"]["gain"]["value"] == 6


def test_a_tuple_of_remote_channels_made_here(plain: Plain) -> None:
    chosen = ChannelTuple(plain, "chosen", InstrumentChannel, [plain.ch1, plain.outs[2]])
    plain.add_submodule("chosen", chosen)
    plain.chosen.v(1.5)
    assert (plain.ch1.v(), plain.outs.v()) == (1.5, (0, 0, 1.5, 0))
    assert plain.chosen.v() == (1.5, 1.5)
    assert plain.chosen is plain.submodules["chosen"] is chosen
    assert list(plain.snapshot()["submodules"]["chosen"]["channels"]) == ["plain_ch1", "plain_out2"]
    plain.update()
    assert plain.chosen is chosen


def test_a_part_may_be_assigned_under_the_name_that_it_has(plain: Any) -> None:
    plain.there = plain.add_parameter("there", set_cmd=None, get_cmd=None, initial_value=1)
    plain.here = plain.add_parameter("here", get_cmd=lambda: 2)
    plain.ch1 = plain.ch1
    plain.outs = plain.outs
    plain.ch1.v = plain.ch1.v
    assert (plain.there(), plain.here(), plain.ch1.v()) == (1, 2, 0)
    plain.grow("late")
    assert plain.here() == 2
    with pytest.raises(AttributeError, match="is a parameter and cannot be replaced"):
        plain.there = 3
