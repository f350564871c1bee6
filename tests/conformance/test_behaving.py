"""Functions, methods and attributes of every kind, and names that a proxy has too, behave as the driver wrote them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from conformance.behaving import Acting, Bay, Colliding, Overheated
from conformance.kinds import Mode
from conformance.looking import Make
from qcodes.utils import QCoDeSDeprecationWarning


@pytest.fixture
def acting(make: Make) -> Acting:
    instrument: Acting = make(Acting, "acting")
    return instrument


@pytest.fixture
def colliding(make: Make) -> Colliding:
    instrument: Colliding = make(Colliding, "colliding")
    return instrument


def test_arguments_arrive_in_every_way_they_can_be_given(acting: Acting) -> None:
    defaults = acting.fit()
    assert defaults.pop("data").tolist() == [0.0, 0.0]
    assert defaults == {
        "mode": Mode.FAST,
        "limits": (0.0, 1.0),
        "more": (),
        "strict": True,
        "missing": True,
        "scale": None,
        "options": {},
    }
    given = acting.fit(np.ones(2), Mode.SLOW, (1, 2), 3, 4, strict=False, missing=1, scale=2j, gain=5)
    assert given.pop("data").tolist() == [1.0, 1.0]
    assert given == {
        "mode": Mode.SLOW,
        "limits": (1, 2),
        "more": (3, 4),
        "strict": False,
        "missing": False,
        "scale": 2j,
        "options": {"gain": 5},
    }
    with pytest.raises(TypeError, match=r"takes from 1 to 2 positional arguments|add\(\) takes"):
        acting.add(1, 2, 3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        acting.add()


def test_signatures_and_docstrings_are_those_of_the_driver(acting: Acting) -> None:
    signature = inspect.signature(acting.fit)
    assert list(signature.parameters) == [
        *("data", "mode", "limits", "more", "strict", "missing", "scale", "options")
    ]
    assert signature.parameters["data"].kind is inspect.Parameter.POSITIONAL_ONLY
    assert signature.parameters["mode"].default is Mode.FAST
    assert signature.parameters["data"].default.tolist() == [0.0, 0.0]
    assert signature.parameters["strict"].annotation == "bool"
    assert signature.return_annotation == "dict[str, Any]"
    assert repr(signature.parameters["missing"].default).startswith("<object object at")
    assert inspect.getdoc(acting.fit).startswith("Return what it was called with.\n\nArgs:\n    data: Volts")
    assert acting.fit.__name__ == "fit"
    assert inspect.getdoc(Acting.fit) == inspect.getdoc(acting.fit)


def test_methods_of_every_kind(acting: Acting) -> None:
    assert (acting.add(1), acting.add(a=1, b=2), acting.model("!")) == (2, 3, "Acting!")
    assert (acting.five(), acting.plus_x(2.0), acting.half(3.0)) == (5, 3.0, 1.5)
    assert acting.plus_x.__doc__ == "Return a value plus x, V."
    assert acting._private == "hidden"


def test_plain_attributes_and_properties(acting: Acting) -> None:
    assert (acting.limit, acting.mode, acting.registry) == (5, Mode.SLOW, ["class", "attribute"])
    assert acting.table["a"].tolist() == [0, 1, 2]
    assert acting.table[1] == (2, None)
    acting.level = 3
    assert acting.squared == 9
    acting.squared = 16
    assert acting.level == 4.0
    acting.mode = Mode.FAST
    acting._private = "changed"
    assert (acting.mode, acting._private, acting.modes) == (Mode.FAST, "changed", Mode)
    assert acting.matrix.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(AttributeError, match="nothing"):
        _ = acting.nothing
    assert not hasattr(acting, "nothing")
    assert acting.front.halved == 0.0
    with pytest.raises(AttributeError, match="halved"):
        acting.front.halved = 1.0


def test_a_driver_s_own_error_keeps_its_class_and_attributes(acting: Acting) -> None:
    with pytest.raises(Overheated, match=r"300\.0 K is too hot") as raised:
        acting.overheat(300.0)
    assert raised.value.kelvin == 300.0
    with pytest.raises(Overheated, match="400"):
        _ = acting.failing
    with pytest.raises(Overheated, match="500"):
        acting.fails()


def test_warnings_and_prints_arrive(acting: Acting, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="the fan is slow"):
        assert acting.warned() == "done"
    with pytest.warns(QCoDeSDeprecationWarning, match="use fit"):
        assert acting.old() == "old"
    assert acting.printed("one\ntwo") == 7
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_generator_runs_as_far_as_it_is_asked(acting: Acting) -> None:
    ramp = acting.ramp(10.0, step=2.0)
    assert [next(ramp), next(ramp)] == [3.0, 5.0]
    assert acting.x() == 5.0
    with pytest.raises(ValueError, match="between -5 and 5"):
        next(ramp)
    assert list(acting.ramp(0.0)) == []


def test_a_block_ends_as_the_driver_says(acting: Acting) -> None:
    with acting.raised(2.0) as value:
        assert (value, acting.x()) == (3.0, 3.0)
    assert acting.x() == 1.0
    with pytest.raises(LookupError, match="inside"), acting.raised(1.0):
        raise LookupError("inside")
    assert acting.x() == 1.0


def test_parts_go_and_come_as_themselves(acting: Acting) -> None:
    parts = acting.parts()
    assert acting.itself() is acting
    assert parts["x"] is acting.x
    assert [bay is found for bay, found in zip(parts["bays"], acting.bays, strict=True)] == [True] * 3
    assert parts["front"][0] is acting.front is acting.bays[0]
    assert acting.name_of(acting.x) == "acting_x True"
    assert acting.name_of(acting.bays[1].v) == "acting_bay1_v False"
    assert acting.read([acting.x, acting.bays[2].v]) == [1.0, 2.0]


def test_functions_check_format_and_parse(acting: Acting) -> None:
    acting.reset()
    acting.say("hello", 2)
    acting.doubled(3)
    assert acting.query(7) == 7
    assert acting.written == ["*RST", "SAY hello 2.00", "D 6", "Q7?"]
    assert (acting.choose("b"), acting.anything(None, [1]), acting.either("x")) == ("b", (None, [1]), "x")
    for wrong, error in (
        (lambda: acting.say("", 2), ValueError),
        (lambda: acting.say("hello"), TypeError),
        (lambda: acting.query("7"), TypeError),
        (lambda: acting.choose("c"), ValueError),
    ):
        with pytest.raises(error):
            wrong()
    assert len(acting.written) == 4
    assert acting.functions["reset"].__doc__ == "Start anew."
    assert acting.reset.full_name == "acting_reset"


def test_channels_act_together(acting: Acting) -> None:
    assert acting.bays.v() == (0.0, 1.0, 2.0)
    acting.bays[1:].v(5)
    acting.bays.bump(0.5)
    acting.bays.fire()
    acting.bays[::2].arm(3)
    assert acting.bays.v() == (0.5, 5.5, 5.5)
    assert [bay.done for bay in acting.bays] == [["fired", 3], ["fired"], ["fired", 3]]
    acting.bays.v([1.0, 2.0, 3.0])
    assert acting.bays.v.get() == (1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match="not an int or float"):
        acting.bays.v("high")
    with pytest.raises(ValueError, match="between 0 and 5"):
        acting.bays.arm(6)
    assert acting.bays.v.full_names == ("acting_bay0_v", "acting_bay1_v", "acting_bay2_v")
    assert acting.bays.get_channel_by_name("bay1") is acting.bays.bay1 is acting.bays[1]
    assert (len(acting.bays), acting.bays.index(acting.bays[2]), acting.front in acting.bays) == (3, 2, True)
    assert all(isinstance(bay, Bay) for bay in acting.bays)


def test_names_that_a_proxy_has_mean_what_the_driver_means(colliding: Colliding) -> None:
    for number, name in enumerate(Colliding.NAMES):
        parameter = colliding.parameters[name]
        assert (parameter(), getattr(colliding, name) is parameter) == (number, True)
        parameter(number + 1)
        assert parameter.get_latest() == number + 1
    assert (colliding.address, colliding.version, colliding.home) == ("here", 3, "lab")
    assert (colliding.methods, colliding.refresh(), colliding.apply(3)) == (["a", "b"], "refreshed", 6)
    assert colliding.request() == "requested"
    colliding.version = 5
    assert colliding.own("version") == 5
    assert colliding.modules.v() == 1.0


def test_methods_of_channels_that_proxies_have_too_are_the_driver_s(colliding: Colliding) -> None:
    channel = colliding.getting
    assert (channel.update(), channel.restart(2), channel.getattr("x"), channel.callattr()) == (
        *("updated", "restartedrestarted", "got x", "called"),
    )
    assert colliding.submodules["getting"] is channel


@pytest.mark.parametrize("name", ["_link", "_path", "_schema", "_modules", "_methods"])
def test_private_names_of_a_driver_stay_its_own(colliding: Colliding, name: str) -> None:
    wanted: dict[str, Any] = {
        "_link": "a cable",
        "_path": "/dev/null",
        "_schema": {"a": 1},
        "_modules": ["none"],
        "_methods": 4,
    }
    assert colliding.own(name) == wanted[name]
