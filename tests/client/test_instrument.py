"""Remote instruments behave as QCoDeS instruments."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from drivers import Channel, Growing, Plain
from qcodes.instrument import ChannelTuple, Instrument, InstrumentChannel
from qcodes.station import Station

from instrumentserver import RemoteError, RemoteInstrument, Server, UnknownName, connect, find_instrument
from instrumentserver.client.registry import open_session


@pytest.fixture
def plain(server: Server) -> Plain:
    return server.create(Plain, "plain", "there", offset=0.5)


def test_is_an_instrument_of_the_driver_s_class(plain: Plain) -> None:
    assert type(plain) is RemoteInstrument
    assert isinstance(plain, Plain)
    assert isinstance(plain, Instrument)
    assert Instrument.find_instrument("plain", Plain) is plain
    assert Plain.instances() == plain.instances() == [plain]
    assert Instrument.exist("plain", Plain)
    assert Instrument.is_valid(plain)


def test_constructor_arguments_reach_the_server(plain: Plain) -> None:
    assert plain.address == "there"
    assert plain.x() == 0.5


def test_repr_is_that_of_a_local_instrument(plain: Plain) -> None:
    assert repr(plain) == str(plain) == "<Plain: plain>"
    assert repr(plain.ch1) == "<Channel: plain_ch1 of Plain: plain>"
    assert repr(plain.x).startswith("<qcodes.parameters.parameter.Parameter: x at ")
    assert str(plain.x) == "plain_x"


def test_methods_take_positional_keyword_and_default_arguments(plain: Plain) -> None:
    assert plain.add(1) == 2
    assert plain.add(1, 2, times=3) == 9
    assert plain.add(a=1, b=4) == 5
    with pytest.raises(TypeError, match="missing 1 required"):
        plain.add()
    assert plain.add.__doc__ == "Return (a + b) times ``times``."
    assert str(inspect.signature(plain.add)).startswith("(a: 'float', b: 'float' = 1, *, times: 'int' = 1)")


def test_functions_are_called_five_ways(plain: Plain) -> None:
    with pytest.warns(PendingDeprecationWarning):
        ways = (
            plain.echo,
            plain.echo.call,
            plain["echo"],
            plain["echo"].call,
            lambda v: plain.call("echo", v),
        )
        assert [way(3) for way in ways] == [3] * 5
    assert plain.functions["echo"].__doc__ == "Say it again."
    with pytest.raises(ValueError, match="between 0 and 10"):
        plain.echo(11)
    with pytest.raises(TypeError, match="called with 2 args but requires 1"):
        plain.echo(1, 2)
    with pytest.raises(TypeError, match="called with 0 args"):
        plain.functions["echo"].validate()


def test_channels_and_submodules(plain: Plain) -> None:
    assert isinstance(plain.ch1, Channel)
    assert isinstance(plain.ch1, InstrumentChannel)
    assert plain.submodules["ch1"] is plain.ch1
    assert isinstance(plain.outs, ChannelTuple)
    assert [channel.short_name for channel in plain.outs] == ["out0", "out1", "out2", "out3"]
    plain.outs[1:3].v(2)
    assert plain.outs.v() == (0.0, 2, 2, 0.0)
    assert plain.outs.out1 is plain.outs[1]
    assert plain.outs[1].twice() == 4
    assert plain.outs[1].full_name == "plain_out1"
    assert plain.ch1.parent is plain


def test_plain_attributes_are_read_set_and_deleted_on_the_server(plain: Plain) -> None:
    assert (plain.gain, plain.class_constant, plain.doubled) == (2.0, 7, 1.0)
    plain.gain = 3.5
    assert plain.getattr("gain") == 3.5
    assert "gain" not in vars(plain)
    del plain.gain
    with pytest.raises(AttributeError, match="gain"):
        _ = plain.gain
    assert "gain" not in dir(plain)
    plain.gain = 4
    assert plain.getattr("gain") == 4
    plain.setattr("added", 1)
    assert plain.added == 1
    assert "added" in dir(plain)


def test_nested_attributes(plain: Plain) -> None:
    assert plain.getattr('table["a"][1]') == 2
    plain.setattr("table['a'][1]", 9)
    plain.callattr("table['a'].append", 4)
    plain.delattr("table['a'][0]")
    assert plain.table == {"a": [9, 3, 4]}
    assert plain.getattr("table['b']", "none") == "none"
    with pytest.raises(KeyError):
        plain.getattr("table['b']")
    with pytest.raises(ValueError, match="not a nested attribute"):
        plain.getattr("table[")
    with pytest.raises(ValueError, match="not a nested attribute"):
        plain.getattr("table[print(1)]")
    with pytest.raises(ValueError, match="not a nested attribute"):
        plain.getattr("x.__class__")
    assert plain.getattr("ch1.v.unit") == "V"
    plain.x.setattr("unit", "mV")
    assert plain.x.getattr("unit") == "mV"
    assert plain.x.callattr("validate", 1) is None
    assert plain.x.getattr("nothing", 5) == 5


def test_an_attribute_that_the_server_lacks_stays_local(plain: Plain) -> None:
    plain.remark = "mine"
    assert plain.remark == "mine"
    with pytest.raises(AttributeError):
        plain.getattr("remark")
    del plain.remark
    with pytest.raises(AttributeError):
        _ = plain.remark


def test_a_parameter_cannot_be_replaced_by_assignment(plain: Plain) -> None:
    with pytest.raises(AttributeError, match=r"set its value with x\(3\)"):
        plain.x = 3
    assert plain.x() == 0.5


def test_tab_completion_offers_parameters_methods_and_attributes(plain: Plain) -> None:
    offered = set(dir(plain))
    assert {"x", "ch1", "outs", "echo", "add", "gain", "doubled", "snapshot", "restart", "update"} <= offered


def test_parameters_that_come_and_go_are_noticed(plain: Plain) -> None:
    plain.grow("late")
    assert plain.late() == "late"
    assert "late" in plain.parameters
    plain.shrink("late")
    assert "late" not in plain.parameters
    assert not hasattr(plain, "late")


def test_add_parameter_with_string_commands_and_duplicates(plain: Plain) -> None:
    parameter = plain.add_parameter("manual", set_cmd=None, get_cmd=None, unit="A")
    parameter(3)
    assert plain.manual() == 3
    with pytest.raises(KeyError, match="Duplicate"):
        plain.add_parameter("manual", set_cmd=None)
    plain.add_function("twice", call_cmd="*RST")
    with pytest.raises(NotImplementedError, match="write"):
        plain.twice()
    plain.remove_parameter("manual")
    assert "manual" not in plain.parameters


def test_channels_added_later_are_noticed(server: Server) -> None:
    growing = server.create(Growing, "growing")
    first = growing.chans[0]
    growing.add_channel()
    assert len(growing.chans) == 2
    assert growing.chans[0] is first
    growing.chans[1].v(3)
    assert growing.chans.v() == (0.0, 3)


def test_snapshot_is_one_message_and_equals_the_local_one(plain: Plain) -> None:
    local = Plain("local", "there", offset=0.5)
    requests = []
    session = open_session(plain._link.session.address)
    send, session_request = session.request, requests.append

    def counted(request: list) -> list:
        session_request(request)
        return send(request)

    session.request = counted
    try:
        there = plain.snapshot()
    finally:
        del session.request
    assert len(requests) == 1
    here = local.snapshot()
    local.close()
    assert _without_names_and_times(there, "plain") == _without_names_and_times(here, "local")


def _without_names_and_times(snapshot: object, name: str) -> object:
    if isinstance(snapshot, dict):
        return {
            str(key).replace(name, "NAME"): _without_names_and_times(value, name)
            for key, value in snapshot.items()
            if key != "ts"
        }
    return snapshot.replace(name, "NAME") if isinstance(snapshot, str) else snapshot


def test_metadata_is_in_the_snapshot(plain: Plain) -> None:
    plain.load_metadata({"sample": "A1"})
    assert plain.snapshot()["metadata"] == {"sample": "A1"}


def test_station_takes_it_as_an_instrument(plain: Plain) -> None:
    station = Station(plain, default=False)
    assert station.components["plain"] is plain
    assert station.snapshot()["instruments"]["plain"]["parameters"]["x"]["unit"] == "V"


def test_pickle_and_copy_give_the_same_object(plain: Plain) -> None:
    for thing in (plain, plain.x, plain.ch1, plain.outs, plain.functions["echo"]):
        assert pickle.loads(pickle.dumps(thing)) is thing
    assert copy.copy(plain) is copy.deepcopy(plain) is plain
    assert copy.deepcopy([plain.x])[0] is plain.x


def test_errors_of_the_driver_keep_class_message_and_show_the_server_s_traceback(plain: Plain) -> None:
    with pytest.raises(ValueError) as raised:
        plain.fail(3)
    assert raised.value.args == ("no 3", 5)
    notes = "".join(raised.value.__notes__)
    assert "Traceback on server" in notes
    assert "in fail" in notes
    assert "instrumentserver/server" not in notes


def test_an_unknown_error_class_keeps_its_name(server: Server) -> None:
    class Odd(Exception):
        pass

    class Raising(Plain):
        def odd(self) -> None:
            exec("class Unheard(Exception): pass\nraise Unheard('of')", {"__name__": "elsewhere"})

        def known(self) -> None:
            raise Odd("known")

        def leave(self) -> None:
            raise SystemExit(3)

    raising = server.create(Raising, "raising")
    with pytest.raises(RemoteError, match=r"elsewhere\.Unheard: of"):
        raising.odd()
    with pytest.raises(RemoteError, match="SystemExit"):
        raising.leave()
    assert raising.x() == 0.0


def test_what_the_driver_prints_is_printed_here(plain: Plain, capsys: pytest.CaptureFixture[str]) -> None:
    plain.say("Good morning")
    assert capsys.readouterr().out == "Good morning\n"
    plain.connect_message()
    assert capsys.readouterr().out.startswith("Connected to: tests Plain (serial:None, firmware:None)")


def test_close_frees_the_name_and_twice_does_not_raise(plain: Plain, server: Server) -> None:
    plain.close()
    plain.close()
    assert "plain" in repr(plain)
    assert Plain.instances() == []
    with pytest.raises(AttributeError):
        _ = plain.x
    with pytest.raises(KeyError):
        Instrument.find_instrument("plain")
    assert server.create(Plain, "plain").x() == 0.0


def test_restart_resets_the_state_and_keeps_arguments_and_proxies(plain: Plain) -> None:
    x, ch1 = plain.x, plain.ch1
    plain.x(3)
    plain.x.unit = "mV"
    plain.grow("late")
    plain.restart()
    assert plain.x is x
    assert plain.ch1 is ch1
    assert (plain.x(), plain.x.unit, plain.address) == (0.5, "V", "there")
    assert "late" not in plain.parameters


def test_another_client_s_close_is_told(plain: Plain, server: Server) -> None:
    open_session(server.address).request(["close", "plain"])
    with pytest.raises(UnknownName, match=r"'plain' was closed by .* at "):
        plain.x()
    assert server.create(Plain, "plain").x() == 0.0


def test_a_proxy_thrown_away_leaves_the_instrument_alone(server: Server) -> None:
    plain = server.create(Plain, "plain")
    plain.x(4)
    del plain
    Instrument._all_instruments.pop("plain", None)
    gc.collect()
    assert find_instrument("plain").x() == 4


def test_the_same_instrument_is_the_same_object(plain: Plain, server: Server) -> None:
    assert connect(server.name).instruments["plain"] is plain
    assert find_instrument("plain") is plain
    assert plain.myself() is plain
    assert plain.give(plain.outs[2].v) is plain.outs[2].v


def test_many_threads_may_share_a_proxy(plain: Plain) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> list[float]:
        barrier.wait()
        channel = plain.outs[number % 4]
        values = []
        for value in range(50):
            channel.parameters["v"].set(float(value % 10))
            values.append(plain.add(number, value))
        return values

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[number + value for value in range(50)] for number in range(8)]


def test_names_of_methods_win_over_ours(server: Server) -> None:
    class Colliding(Plain):
        def restart(self) -> str:
            return "the driver's"

        def update(self, value: int) -> int:
            return value

        def get_idn(self) -> dict[str, str | None]:
            return {"vendor": "collide", "model": None, "serial": None, "firmware": None}

        def ask(self, cmd: str, retries: int = 0) -> str:
            return f"{cmd} {retries}"

    colliding = server.create(Colliding, "colliding")
    assert colliding.restart() == "the driver's"
    assert colliding.update(5) == 5
    assert colliding.get_idn()["vendor"] == "collide"
    assert colliding.IDN()["vendor"] == "collide"
    assert colliding.ask("*IDN?", retries=2) == "*IDN? 2"
    RemoteInstrument.restart(colliding)


def test_a_parameter_beside_a_plain_attribute_is_found_first(server: Server) -> None:
    class Seed(Instrument):
        def __init__(self, name: str, **kwargs: object) -> None:
            super().__init__(name, **kwargs)
            self.x = 0
            self.add_parameter("x", get_cmd=lambda: self.x, set_cmd=lambda value: setattr(self, "x", value))

    with pytest.warns(UserWarning, match="Parameter x overrides an attribute of the same name"):
        seed = server.create(Seed, "seed")
    seed.x.set(25)
    assert seed.x.get() == seed.parameters["x"].get() == 25
    seed.x.unit = "V"
    assert (seed.x.unit, seed.x.snapshot()["value"]) == ("V", 25)
