"""What stays on the server for a client: how it shares the instrument with other calls, and when it ends."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from drivers import Gate, Onlooker, Streaming

from instrumentserver import CallTimeout, Instrument, Server, start_server, time_limit

HOLDER = """
import sys
sys.path.insert(0, sys.argv[1])
from instrumentserver import find_instrument
streaming = find_instrument("streaming")
counting, armed, guard = streaming.count(5), streaming.armed(), streaming.guard()
next(counting), armed.__enter__()
print("holding", flush=True)
sys.stdin.readline()
"""


class Leaving(Instrument):
    """An instrument whose generators leave a mark when they end."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name)
        self._folder = Path(folder)

    def count(self) -> Iterator[int]:
        """Yield numbers."""
        try:
            yield from range(5)
        finally:
            (self._folder / "generator").touch()

    def close(self) -> None:
        """Close the instrument; tell what has ended before."""
        if "_folder" in vars(self):
            ended = sorted(path.name for path in self._folder.iterdir())
            (self._folder / "closed").write_text(" ".join(ended))
        super().close()


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does within 5 s."""
    pause, give_up = Event(), time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        pause.wait(0.002)
    return condition()


@pytest.fixture
def streaming(server: Server, tmp_path: Path) -> Streaming:
    return server.create(Streaming, "streaming", str(tmp_path))


def test_between_two_items_the_instrument_is_free(
    streaming: Streaming, server: Server, new_name: Callable[[], str]
) -> None:
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    counting = streaming.count(5)
    with streaming.armed():
        next(counting)
        with time_limit(5):
            assert onlooker.see("streaming.made, streaming.inside", streaming=streaming) == ([0], 1)
        assert server.status()["calls"] == []
        assert next(counting) == 1


def test_during_an_item_other_calls_wait_and_the_status_tells(
    streaming: Streaming, server: Server, tmp_path: Path
) -> None:
    waiting = streaming.wait_inside()
    next(waiting)
    with ThreadPoolExecutor(2) as pool:
        try:
            item = pool.submit(next, waiting)
            assert soon(lambda: [call["operation"] for call in server.status()["calls"]] == ["step"])
            other = pool.submit(lambda: streaming.ended)
            assert soon(
                lambda: {call["state"] for call in server.status()["calls"]} == {"running", "waiting"}
            )
            assert not other.done()
        finally:
            (tmp_path / "open").touch()
        assert (item.result(), other.result()) == ("later", [])


def test_an_item_may_use_other_instruments(streaming: Streaming, server: Server) -> None:
    class Combining(Streaming):
        def sums(self, other: Streaming) -> Iterator[int]:
            for one, two in zip(self.count(3), other.count(3, step=10), strict=True):
                yield one + two

    combining = server.create(Combining, "combining")
    assert list(combining.sums(streaming)) == [0, 11, 22]
    assert streaming.made == [0, 10, 20]


def test_an_item_may_use_instruments_of_other_servers(
    streaming: Streaming, new_name: Callable[[], str]
) -> None:
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    assert onlooker.see("[*streaming.count(3)]", streaming=streaming) == [0, 1, 2]
    assert list(onlooker.see("(2 * value for value in streaming.count(3))")) == [0, 2, 4]
    with onlooker.see("streaming.armed(value=3)") as armed:
        assert (armed, streaming.inside) == (3, 1)
    assert streaming.inside == 0


def test_what_items_print_and_log_arrives_with_them(
    server: Server, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Printing(Instrument):
        def count(self) -> Iterator[int]:
            for number in range(2):
                print("item", number)  # noqa: T201
                logging.getLogger("drivers.chatty").warning("item %d", number)
                yield number

    for number in server.create(Printing, "printing").count():
        assert capsys.readouterr().out == f"item {number}\n"
        assert caplog.messages[-1] == f"item {number}"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["return", "kill"])
def test_the_end_of_a_program_lets_go_of_what_it_held(streaming: Streaming, how: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "holding\n"
        assert (streaming.inside, streaming.ended) == (1, [])
        if how == "kill":
            program.kill()
        else:
            program.stdin.close()
        assert program.wait(20) == {"return": 0, "kill": -9}[how]
    assert soon(lambda: streaming.inside == 0 and "GeneratorExit" in streaming.ended)


@pytest.mark.parametrize("how", ["stop", "close", "restart"])
def test_generators_end_before_their_instrument_is_closed(
    new_name: Callable[[], str], tmp_path: Path, how: str
) -> None:
    server = start_server(new_name())
    leaving = server.create(Leaving, "leaving", str(tmp_path))
    counting = leaving.count()
    next(counting)
    if how == "stop":
        server.stop()
    else:
        getattr(leaving, how)()
    assert (tmp_path / "closed").read_text().split()[-1:] == ["generator"]


def test_a_call_that_was_given_up_costs_nothing_that_is_held(
    streaming: Streaming, server: Server, tmp_path: Path
) -> None:
    counting, gate = streaming.count(5), server.create(Gate, "gate", str(tmp_path))
    next(counting)
    with pytest.raises(CallTimeout), time_limit(0.05):
        gate.wait()
    assert next(counting) == 1
    (tmp_path / "open").touch()
    assert list(counting) == [2, 3, 4]
