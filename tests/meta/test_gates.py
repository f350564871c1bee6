import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.dac import Dac
from meta.gates import Gates


class Source(Instrument):
    """Instrument whose sets call `on_set` with the value, V."""

    def __init__(self, name: str, on_set: Callable[[Any], None] = lambda value: None) -> None:
        super().__init__(name)
        self.value: Any = 0
        self._on_set = on_set
        self.add_parameter("x", label=f"Output of {name}", unit="V", get_cmd=self._get, set_cmd=self._set)

    def _get(self) -> Any:
        return self.value

    def _set(self, value: Any) -> None:
        self._on_set(value)
        self.value = value


def refuse(value: Any) -> None:
    raise OSError(f"line broken at {value}")


@pytest.fixture(autouse=True)
def closed_instruments() -> Iterator[None]:
    yield
    Instrument.close_all()


def test_parameters_get_and_set_their_own_instrument() -> None:
    one, two = Source("one"), Source("two")
    gates = Gates("gates", instruments=[one, two])
    gates.c1.set(25)
    assert (gates.c0.get(), gates.c1.get(), one.value, two.value) == (0, 25, 0, 25)


def test_change_at_the_instrument_shows_at_the_gate() -> None:
    one = Source("one")
    gates = Gates("gates", instruments=[one])
    one.x.set(1)
    assert gates.c0.get() == 1


def test_channels_of_one_instrument_are_gates() -> None:
    dac = Dac("dac")
    gates = Gates("gates", instruments=[dac.ch1, dac.ch3], parameter="v")
    gates.setBoth(0.5)
    gates.c1(-1)
    assert [channel.v() for channel in dac.channels] == [0.5, 0, -1, 0]


def test_channel_tuple_is_a_list_of_instruments() -> None:
    dac = Dac("dac")
    gates = Gates("gates", instruments=dac.channels, parameter="v")
    gates.setBothAsync(2)
    assert [gates.parameters[f"c{number}"]() for number in range(4)] == [2, 2, 2, 2]


def test_label_and_unit_are_those_of_the_instruments() -> None:
    gates = Gates("gates", instruments=[Source("one"), Source("two")])
    assert (gates.c1.label, gates.c1.unit, gates.setBoth.unit) == ("Output of two", "V", "V")


def test_instruments_with_different_units_have_none_in_common() -> None:
    dac, one = Dac("dac"), Source("one")
    dac.ch1.add_parameter("x", unit="mV", set_cmd=None)
    gates = Gates("gates", instruments=[dac.ch1, one])
    assert (gates.c0.unit, gates.c1.unit, gates.setBothAsync.unit) == ("mV", "V", "")


@pytest.mark.parametrize("common", ["setBoth", "setBothAsync"])
@pytest.mark.parametrize("value", [7, -0.5, None, "high", (1, 2)])
def test_common_set_hands_the_value_unchanged_to_every_instrument(common: str, value: Any) -> None:
    sources = [Source("one"), Source("two"), Source("three")]
    Gates("gates", instruments=sources).parameters[common].set(value)
    assert all(source.value is value for source in sources)


@pytest.mark.parametrize("common", ["setBoth", "setBothAsync"])
def test_common_set_cannot_be_read(common: str) -> None:
    gates = Gates("gates", instruments=[Source("one")])
    assert not gates.parameters[common].gettable


def test_gate_of_a_parameter_that_cannot_be_read_cannot_be_read() -> None:
    one = Source("one")
    one.add_parameter("y", get_cmd=False, set_cmd=None)
    gates = Gates("gates", instruments=[one], parameter="y")
    assert not gates.c0.gettable


def test_serial_set_keeps_the_order() -> None:
    order: list[str] = []
    sources = [Source(name, lambda value, name=name: order.append(name)) for name in ("b", "c", "a")]
    Gates("gates", instruments=sources).setBoth(1)
    assert order == ["b", "c", "a"]


def test_parallel_sets_run_at_the_same_time() -> None:
    # Each set waits for the other two, so one after the other would break the barrier.
    barrier = threading.Barrier(3)
    sources = [Source(name, lambda value: barrier.wait(10) and None) for name in ("one", "two", "three")]
    Gates("gates", instruments=sources).setBothAsync(1)
    assert [source.value for source in sources] == [1, 1, 1]


def test_parallel_sets_see_the_callers_context() -> None:
    chain = contextvars.ContextVar[str]("chain")
    seen: list[str] = []
    sources = [Source(name, lambda value: seen.append(chain.get())) for name in ("one", "two")]
    gates = Gates("gates", instruments=sources)
    chain.set("caller")
    gates.setBothAsync(1)
    assert seen == ["caller", "caller"]


def test_threads_of_parallel_sets_live_until_close() -> None:
    threads: list[threading.Thread] = []
    barrier = threading.Barrier(2)

    def remember(value: Any) -> None:
        threads.append(threading.current_thread())
        barrier.wait(10)

    gates = Gates("gates", instruments=[Source("one", remember), Source("two", remember)])
    gates.setBothAsync(1)
    gates.setBothAsync(2)
    assert set(threads[:2]) == set(threads[2:])
    gates.close()
    assert not any(thread.is_alive() for thread in threads)


def test_serial_failure_stops_and_a_note_tells_who_took_the_value() -> None:
    sources = [Source("one"), Source("two", refuse), Source("three")]
    with pytest.raises(OSError, match="line broken at 5") as caught:
        Gates("gates", instruments=sources).setBoth(5)
    assert [source.value for source in sources] == [5, 0, 0]
    assert caught.value.__notes__ == [
        "gates.setBoth: took the value: one_x (5 V); failed: two_x (5 V); not tried: three_x (5 V)"
    ]


def test_parallel_failures_are_raised_together_and_tell_who_took_the_value() -> None:
    sources = [Source("one", refuse), Source("two"), Source("three", refuse)]
    with pytest.raises(ExceptionGroup) as caught:
        Gates("gates", instruments=sources).setBothAsync(5)
    assert [source.value for source in sources] == [0, 5, 0]
    assert [type(error) for error in caught.value.exceptions] == [OSError, OSError]
    assert "took the value: two_x (5 V); failed: one_x (5 V), three_x (5 V)" in caught.value.message


def test_parallel_failure_is_raised_after_the_last_set_has_ended() -> None:
    refused = threading.Event()

    def refuse_first(value: Any) -> None:
        refused.set()
        raise OSError("line broken")

    slow = Source("slow", lambda value: refused.wait(10) and None)
    with pytest.raises(ExceptionGroup, match="took the value: slow_x"):
        Gates("gates", instruments=[Source("quick", refuse_first), slow]).setBothAsync(5)
    assert slow.value == 5


@pytest.mark.parametrize("common", ["setBoth", "setBothAsync"])
def test_limit_of_one_instrument_is_raised(common: str) -> None:
    one, two = Source("one"), Source("two")
    two.x.vals = Numbers(0, 10)
    gates = Gates("gates", instruments=[one, two])
    with pytest.raises((ValueError, ExceptionGroup)) as caught:
        gates.parameters[common].set(99)
    notes = getattr(caught.value, "__notes__", [])
    assert "took the value: one_x (99 V); failed: two_x (99 V)" in " ".join([str(caught.value), *notes])
    assert (one.value, two.value) == (99, 0)


def test_parameter_is_found_behind_an_attribute_of_the_same_name() -> None:
    one = Source("one")
    one.__dict__["x"] = 0
    gates = Gates("gates", instruments=[one])
    gates.setBoth(3)
    assert (gates.c0.get(), one.value) == (3, 3)


def test_replaced_parameter_is_the_one_that_is_set() -> None:
    one = Source("one")
    gates = Gates("gates", instruments=[one])
    one.remove_parameter("x")
    one.add_parameter("x", set_cmd=None)
    gates.setBoth(4)
    assert (one.x.get(), one.value) == (4, 0)


def test_no_instruments_are_refused() -> None:
    with pytest.raises(ValueError, match="give at least one"):
        Gates("gates")


def test_instrument_given_twice_is_refused() -> None:
    one, two = Source("one"), Source("two")
    with pytest.raises(
        ValueError, match=r"instruments\[2\] and instruments\[0\] are both one; give each once"
    ):
        Gates("gates", instruments=[one, two, one])


def test_instrument_without_the_parameter_is_refused_with_those_it_has() -> None:
    dac = Dac("dac")
    with pytest.raises(ValueError, match=r"dac_ch1 has no parameter 'x'.*v, ramp_rate"):
        Gates("gates", instruments=[dac.ch1])


def test_parameter_in_place_of_an_instrument_is_refused() -> None:
    one = Source("one")
    with pytest.raises(TypeError, match=r"instruments\[0\] = .* is no instrument"):
        Gates("gates", instruments=[one.x])


def test_refused_constructor_leaves_the_name_free() -> None:
    with pytest.raises(ValueError):
        Gates("gates")
    Gates("gates", instruments=[Source("one")])


def test_close_leaves_the_instruments_open_and_can_be_repeated() -> None:
    one = Source("one")
    gates = Gates("gates", instruments=[one])
    gates.setBothAsync(1)
    gates.close()
    gates.close()
    assert one.x.get() == 1


def test_instruments_are_a_shared_kwarg() -> None:
    assert Gates.shared_kwargs == ["instruments"]


def test_snapshot_reads_the_gates_and_not_the_common_sets() -> None:
    gates = Gates("gates", instruments=[Source("one")])
    parameters = gates.snapshot(update=True)["parameters"]
    assert (parameters["c0"]["value"], parameters["setBoth"]["value"]) == (0, None)
