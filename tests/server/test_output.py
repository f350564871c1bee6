"""What a driver prints goes into the log file, and to the caller if a call is under way in that thread."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from drivers import Chatty, Plain

from instrumentserver import Server, start_server
from instrumentserver.server import output
from instrumentserver.server.output import CallOutput, Collected, collect_printed, collected


@pytest.fixture(autouse=True)
def nothing_collected() -> Iterator[None]:
    """Have this thread keep nothing after a test."""
    yield
    output._thread.collected = None


# What is kept of a call


def test_what_was_kept_is_taken_once() -> None:
    kept = collect_printed()
    assert collected() is kept
    kept.add(False, "out", 3)
    kept.add(True, "err", 3)
    kept.add("log", {"name": "a"}, 100)
    assert kept.take() == [[False, "out"], [True, "err"], ["log", {"name": "a"}]]
    assert kept.take() is None


def test_too_much_is_cut_with_a_notice() -> None:
    kept = collect_printed()
    for _ in range(1000):
        kept.add(False, "x" * 1000, 1000)
    *told, notice = kept.take() or []
    assert 100_000 < sum(len(text) for _, text in told) <= 1 << 18
    assert notice == [True, f"... and {1000 - len(told)} more lines, which are in the server's log\n"]


def test_one_text_that_is_too_much_alone_leaves_a_notice() -> None:
    kept = collect_printed()
    kept.add(False, "x" * 1_000_000, 1_000_000)
    assert kept.take() == [[True, "... and 1 more lines, which are in the server's log\n"]]


def test_too_much_in_one_call_leaves_room_for_the_next() -> None:
    kept = collect_printed()
    for texts in (["x" * 1_000_000], ["x" * 1000] * 1000, ["x" * 200_000] * 2):
        for text in texts:
            kept.add(False, text, len(text))
        kept.take()
        kept.add(False, "next", 4)
        assert kept.take() == [[False, "next"]]


def test_a_thread_without_a_call_writes_into_the_log_alone() -> None:
    log = io.StringIO()
    stream = CallOutput(log, to_error=False)
    kept = collect_printed()
    thread = threading.Thread(target=stream.write, args=("elsewhere",))
    thread.start()
    thread.join()
    assert stream.write("here") == 4
    assert log.getvalue() == "elsewherehere"
    assert kept.take() == [[False, "here"]]
    assert Collected().take() is None


def test_it_is_a_stream() -> None:
    stream = CallOutput(io.StringIO(), to_error=True)
    print("a", 1, file=stream, flush=True)
    assert stream.writable()
    assert not stream.readable()
    assert not stream.isatty()
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


# Through a server


def test_a_flood_is_cut_with_a_notice_and_is_whole_in_the_log(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    chatty = server.create(Chatty, "chatty")
    assert chatty.print_lines(5000, 100) == 500_000
    printed = capsys.readouterr()
    assert 100_000 < len(printed.out) <= 1 << 18
    assert "more lines, which are in the server's log" in printed.err
    assert server.log(2).splitlines()[-1] == f"{4999:099}"
    chatty.print_lines(1, 5)
    assert capsys.readouterr().out == "0000\n"


def test_after_a_flood_of_one_text_the_next_prints_arrive(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = server.create(Plain, "plain")
    plain.say("x" * 1_000_000)
    assert "more lines" in capsys.readouterr().err
    plain.say("next")
    assert capsys.readouterr().out == "next\n"


def test_prints_of_several_threads_go_to_their_callers(
    server: Server, new_name: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = start_server(new_name())
    instruments = [server.create(Chatty, "one"), server.create(Chatty, "two"), other.create(Chatty, "three")]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda chatty: chatty.print_lines(20, 4), instruments))
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == sorted([f"{number:03}" for number in range(20)] * 3)
