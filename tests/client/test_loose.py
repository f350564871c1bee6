"""Parameters, channels and lists that a driver keeps without having added them to the instrument."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from drivers import Channel, Plain
from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import ChannelTuple, Instrument
from qcodes.parameters import DelegateParameter, Parameter, ParameterWithSetpoints
from qcodes.validators import Arrays, LiteralValidator

from instrumentserver import Server, UnknownName


class Untidy(Instrument):
    """A driver as many are: what it has is in attributes, lists and dicts."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("x", set_cmd=None, get_cmd=None, initial_value=1)
        self.front = Channel(self, "front")
        self.outputs = [Channel(self, f"out{number}") for number in range(3)]
        self.by_name = {"first": self.outputs[0]}
        self.bank = ChannelTuple(self, "bank", Channel, self.outputs)
        self.alone = Parameter("alone", set_cmd=None, get_cmd=None, initial_value=2, label="Alone", unit="A")
        self.through = DelegateParameter("through", source=self.x)
        self.bound = Parameter("bound", instrument=self, bind_to_instrument=False, get_cmd=lambda: 7)

    def last(self) -> Channel:
        """Return a channel."""
        return self.outputs[-1]

    def fresh(self, value: float) -> Parameter:
        """Return a parameter that nobody else has."""
        return Parameter("fresh", set_cmd=None, get_cmd=None, initial_value=value)

    def is_first(self, channel: Channel) -> bool:
        """Tell whether a channel is the first output."""
        return channel is self.outputs[0]


@pytest.fixture
def untidy(server: Server) -> Any:
    """Return the driver on a server."""
    return server.create(Untidy, "untidy")


def test_each_is_one_proxy_wherever_it_is_found(untidy: Any) -> None:
    assert untidy.front is untidy.front
    assert untidy.front.v is untidy.front.v
    assert untidy.outputs[0] is untidy.by_name["first"] is untidy.bank[0]
    assert untidy.last() is untidy.outputs[2]
    assert untidy.is_first(untidy.outputs[0])
    assert not untidy.is_first(untidy.front)
    assert pickle.loads(pickle.dumps(untidy.outputs[1])) is untidy.outputs[1]


def test_channels_are_channels(untidy: Any) -> None:
    untidy.front.v(3)
    assert (untidy.front.v(), untidy.front.twice()) == (3, 6)
    assert isinstance(untidy.front, Channel)
    assert untidy.front.parent is untidy
    assert untidy.front.v.root_instrument is untidy
    assert untidy.front.v.full_name == "untidy_front_v"
    with pytest.raises(ValueError, match="untidy_front"):
        untidy.front.v(99)


def test_lists_of_channels_are_lists_of_channels(untidy: Any) -> None:
    assert isinstance(untidy.bank, ChannelTuple)
    untidy.bank.v([1, 2, 3])
    assert untidy.bank[1:].v() == (2, 3)
    assert untidy.outputs[2].v() == 3


def test_parameters_keep_their_names_and_have_no_instrument_that_they_had_not(untidy: Any) -> None:
    alone = untidy.alone
    assert (alone.full_name, alone.label, alone.unit, alone()) == ("alone", "Alone", "A", 2)
    assert alone.instrument is None
    assert (untidy.bound(), untidy.bound.full_name, untidy.bound.instrument is untidy) == (
        7,
        "untidy_bound",
        True,
    )
    assert isinstance(untidy.through, DelegateParameter)
    assert untidy.through.source is untidy.x
    untidy.through(5)
    assert untidy.x() == 5


def test_what_a_method_makes_anew_is_another_one_each_time(untidy: Any) -> None:
    one, two = untidy.fresh(1), untidy.fresh(2)
    assert (one(), two()) == (1, 2)
    assert one is not two


def test_they_are_measured(untidy: Any, tmp_path: Path) -> None:
    initialise_or_create_database_at(tmp_path / "loose.db")
    load_or_create_experiment("loose", "parts")
    run = dond(LinSweep(untidy.outputs[0].v, 0, 1, 3), untidy.alone, do_plot=False, show_progress=False)[0]
    assert run.parameters == "untidy_out0_v,alone"
    run.conn.close()


def test_after_a_restart_they_are_those_of_the_new_instrument(untidy: Any) -> None:
    old = untidy.front
    old.v(3)
    untidy.restart()
    assert untidy.front.v() == 0
    with pytest.raises(UnknownName, match="may have been removed"):
        old.v()


def test_a_list_without_a_proxy_of_its_own_arrives_as_a_part(server: Server) -> None:
    class Slicing(Plain):
        def half(self) -> Any:
            return self.outs[:2]

    plain = server.create(Slicing, "plain")
    assert list(plain.half()) == [plain.outs[0], plain.outs[1]]


# What a dataset must know of related parameters


class Control(Parameter):
    """Sets others as well."""

    def __init__(self, name: str, *, others: tuple[Parameter, ...], **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._others = others
        for other in others:
            self.has_control_of.add(other)
            other.is_controlled_by.add(self)

    def unpack_self(self, value: Any) -> Any:
        """Return what a dataset stores."""
        more = [(other, factor * value) for factor, other in enumerate(self._others)]
        return [*super().unpack_self(value), *more]


class Controlling(Instrument):
    """Has a parameter that sets others."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for part in ("one", "two", "signal"):
            self.add_parameter(part, set_cmd=None, get_cmd=None, initial_value=1)
        self.add_parameter(
            "control", parameter_class=Control, others=(self.one, self.two), set_cmd=None, get_cmd=None
        )
        self.add_parameter("mode", set_cmd=None, vals=LiteralValidator[Literal["low", "high", 4]]())


def test_a_driver_s_own_word_on_what_is_stored_counts(server: Server, tmp_path: Path) -> None:
    controlling: Any = server.create(Controlling, "controlling")
    assert list(controlling.control.has_control_of) == [controlling.one, controlling.two]
    assert list(controlling.one.is_controlled_by) == [controlling.control]
    assert list(controlling.signal.is_controlled_by) == []
    initialise_or_create_database_at(tmp_path / "control.db")
    load_or_create_experiment("control", "related")
    run = dond(
        LinSweep(controlling.control, 0, 1, 3), controlling.signal, do_plot=False, show_progress=False
    )[0]
    assert run.parameters == "controlling_control,controlling_one,controlling_two,controlling_signal"
    assert run.get_parameter_data("controlling_signal")["controlling_signal"]["controlling_two"].tolist() == [
        0,
        0.5,
        1,
    ]
    run.conn.close()


def test_a_literal_validator_arrives_as_one(server: Server) -> None:
    controlling: Any = server.create(Controlling, "controlling")
    assert controlling.mode.vals.valid_values == ("low", "high", 4)
    with pytest.raises(ValueError, match="not a member"):
        controlling.mode.vals.validate("x")


# Errors of others


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_an_error_that_a_signal_handler_raises_is_no_lost_server(server: Server) -> None:
    class Slow(Instrument):
        def nap(self) -> None:
            time.sleep(0.5)

    def ring(*_: object) -> None:
        raise TimeoutError("enough")

    slow: Any = server.create(Slow, "slow")
    before = signal.signal(signal.SIGUSR1, ring)
    main = threading.get_ident()
    bell = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGUSR1))
    try:
        bell.start()
        with pytest.raises(TimeoutError, match=r"^enough$"):
            slow.nap()
    finally:
        bell.join()
        signal.signal(signal.SIGUSR1, before)
    assert slow.parameters["IDN"].label == "IDN"


# Making the proxy


def test_making_the_proxy_asks_the_driver_for_no_setpoints(server: Server) -> None:
    class Scope(Instrument):
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(name, **kwargs)
            self.asked = 0
            self.add_parameter("axis", parameter_class=Axis, vals=Arrays(shape=(3,)))
            self.add_parameter("trace", parameter_class=Trace, vals=Arrays(shape=(3,)))

    class Axis(Parameter):
        def get_raw(self) -> Any:
            return np.arange(3.0)

    class Trace(ParameterWithSetpoints):
        @property
        def setpoints(self) -> Any:
            scope: Any = self.instrument
            scope.asked += 1
            return (scope.axis,)

        @setpoints.setter
        def setpoints(self, setpoints: Any) -> None:
            """Leave them to the getter."""

        def get_raw(self) -> Any:
            return np.zeros(3)

    local = Scope("local")
    expected = local.asked
    local.close()
    scope: Any = server.create(Scope, "scope")
    assert scope.asked == expected
    assert list(scope.trace.setpoints) == [scope.axis]
    assert scope.asked == expected + 1


def test_an_instrument_that_cannot_be_described_is_closed(server: Server) -> None:
    class Broken(Parameter):
        @property
        def gettable(self) -> bool:
            raise RuntimeError("no hardware")

    class Dark(Instrument):
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(name, **kwargs)
            self.add_parameter("broken", parameter_class=Broken, get_cmd=None, set_cmd=None)

    with pytest.raises(RuntimeError, match="no hardware"):
        server.create(Dark, "dark")
    assert list(server.instruments) == []
    server.create(Plain, "dark")
