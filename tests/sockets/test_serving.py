"""The lives of sockets: starts, stops, forks and ends at any moment."""

from __future__ import annotations

import gc
import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import warnings

import pytest

from instrumentserver.sockets import DATA, DataPullSocket, DataPushSocket, DateDataPullClient

LOCAL = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether the system gives the port to another program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind((LOCAL, port))
        except OSError:
            return False
        return True


def test_stop_waits_for_the_request_that_is_answered(line) -> None:
    is_called, may_return = threading.Event(), threading.Event()

    def callback(data: dict) -> str:
        is_called.set()
        assert may_return.wait(10)
        return "done"

    push = DataPushSocket("laser", 0, "callback_direct", callback=callback, host=LOCAL)
    push.start()
    client = line(push.port)
    client.send(b"json_wn#{}")
    assert is_called.wait(10)
    stopping = threading.Thread(target=push.stop)
    stopping.start()
    stopping.join(0.05)
    assert stopping.is_alive() and push.is_alive()
    may_return.set()
    assert client.receive() == b'RET#"done"'
    stopping.join(10)
    assert not push.is_alive()
    assert is_free(push.port)


def test_stop_gives_up_waiting_for_a_callback_that_hangs(monkeypatch, line, caplog) -> None:
    monkeypatch.setattr("instrumentserver.sockets.serving._END_SECONDS", 0.05)
    is_called, may_return = threading.Event(), threading.Event()

    def callback(data: dict) -> None:
        is_called.set()
        assert may_return.wait(10)

    push = DataPushSocket("laser", 0, "callback_direct", callback=callback, host=LOCAL)
    push.start()
    line(push.port).send(b"json_wn#{}")
    assert is_called.wait(10)
    push.stop()
    assert "a callback has not returned within 0.05 s" in caplog.text
    assert is_free(push.port)
    may_return.set()
    push.join(10)
    assert not push.is_alive()


def test_stop_while_clients_ask_leaves_nothing() -> None:
    for _ in range(20):
        pull = DataPullSocket("laser", ["a"], 0, host=LOCAL)
        pull.start()
        is_over = threading.Event()

        def ask(port: int = pull.port, is_over: threading.Event = is_over) -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                while not is_over.is_set():
                    client.sendto(b"json", (LOCAL, port))

        asking = threading.Thread(target=ask)
        asking.start()
        pull.stop()
        assert not pull.is_alive()
        is_over.set()
        asking.join(10)
        assert is_free(pull.port)


def test_async_callback_may_stop_its_socket(line) -> None:
    has_stopped = threading.Event()

    def callback(data: dict) -> None:
        push.stop()
        has_stopped.set()

    push = DataPushSocket("laser", 0, "callback_async", callback=callback, host=LOCAL)
    push.start()
    assert line(push.port).ask(b"json_wn#{}") == b"ACK#{}"
    assert has_stopped.wait(10)
    assert not push.is_alive()
    assert is_free(push.port)


def test_socket_may_be_stopped_as_soon_as_it_is_started() -> None:
    for _ in range(200):
        push = DataPushSocket("laser", 0, "callback_async", callback=print, host=LOCAL)
        push.start()
        push.stop()
        assert not push.is_alive()
    assert not [thread for thread in threading.enumerate() if thread.name == "push socket callbacks"]


def test_callback_in_a_thread_of_ones_own_may_stop_the_socket(line) -> None:
    push = DataPushSocket("laser", 0, "callback_direct", callback=lambda data: push.stop(), host=LOCAL)
    thread = threading.Thread(target=push.run)
    thread.start()
    assert line(push.port).ask(b"json_wn#{}") == b"RET#null"
    thread.join(10)
    assert not thread.is_alive()
    assert is_free(push.port)


def test_run_in_a_thread_of_ones_own_calls_the_async_callback(line) -> None:
    called: queue.Queue = queue.Queue()
    push = DataPushSocket("laser", 0, "callback_async", callback=called.put, host=LOCAL)
    thread = threading.Thread(target=push.run)
    thread.start()
    assert line(push.port).ask(b"raw_wn#a:int:1") == b"ACK#{'a': 1}"
    assert called.get(timeout=10) == {"a": 1}
    push.stop()
    thread.join(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "push socket callbacks"]


def test_callback_may_stop_a_socket_that_has_a_loop_of_its_own(line) -> None:
    class Stepwise(DataPushSocket):
        def run(self) -> None:
            self.server.timeout = 10
            self.server.handle_request()

    push = Stepwise("laser", 0, "callback_direct", callback=lambda data: push.stop(), host=LOCAL)
    push.start()
    assert line(push.port).ask(b"json_wn#{}") == b"RET#null"
    push.join(10)
    push.stop()
    assert is_free(push.port)


def test_socket_that_nobody_stopped_is_collected_with_its_port() -> None:
    for make in (
        lambda: DataPullSocket("laser", ["a"], 0, host=LOCAL),
        lambda: DataPushSocket("laser", 0, "enqueue", host=LOCAL),
        lambda: DataPushSocket("laser", 0, "callback_async", callback=print, host=LOCAL),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            port = make().port
            gc.collect()
        assert DATA == {}
        assert is_free(port)


def test_socket_that_was_stopped_is_collected_in_silence() -> None:
    with DataPullSocket("laser", ["a"], 0, host=LOCAL):
        pass
    DataPushSocket("laser", 0, host=LOCAL).stop()
    gc.collect()


def test_failed_with_block_stops_the_socket() -> None:
    with pytest.raises(KeyboardInterrupt), DataPullSocket("laser", ["a"], 0, host=LOCAL) as pull:
        raise KeyboardInterrupt
    assert not pull.is_alive()
    assert is_free(pull.port)


def test_start_and_stop_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "instrumentserver.sockets"):
        pull = DataPullSocket("laser", ["a"], 0, host=LOCAL)
        pull.start()
        pull.stop()
        pull.stop()
    assert [record.getMessage().split(" of port ")[0] for record in caplog.records] == ["data socket"] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_holds_no_port_of_its_parent(line) -> None:
    pull = DataPullSocket("laser", ["a"], 0, host=LOCAL)
    pull.start()
    waits, gone = os.pipe()
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(gone)
            pull.set_point("a", (3, 4))
            pull.stop()
            pull.stop()
            os.write(tells, b"y" if DATA == {} and not pull.is_alive() else b"n")
            os.read(waits, 1)
        finally:
            os._exit(0)
    os.close(waits)
    assert os.read(told, 1) == b"y"
    assert line(pull.port).ask(b"a#raw") == b"0.0,0.0"
    assert pull.statistics.received == 1
    pull.stop()
    assert is_free(pull.port)
    os.close(gone)
    os.waitpid(child, 0)
    os.close(told)
    os.close(tells)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_socket_that_was_not_started_may_serve_in_a_forked_child(line) -> None:
    pull = DataPullSocket("laser", ["a"], 0, host=LOCAL)
    child = os.fork()
    if not child:
        try:
            # Python 3.13 starts no thread that was made before the fork.
            pull.run()
        finally:
            os._exit(0)
    assert line(pull.port).ask(b"name") == b"laser"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pull.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_client_of_a_forked_child_takes_none_of_its_parents_replies() -> None:
    with DataPullSocket("laser", ["a", "b"], 0, host=LOCAL) as pull:
        pull.set_point("b", (1, 2))
        client = DateDataPullClient(LOCAL, "laser", pull.port, timeout=10)
        child = os.fork()
        if not child:
            code = 1
            try:
                code = any(client.get_field("a") != [0.0, 0.0] for _ in range(300))
            finally:
                os._exit(code)
        assert all(client.get_field("b") == [1, 2] for _ in range(300))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.close()


@pytest.mark.slow
def test_program_that_stops_nothing_ends_in_silence() -> None:
    program = """
import socket, sys
from instrumentserver.sockets import *
pull = DateDataPullSocket("laser", ["a"], 0, host="127.0.0.1")
async_ = DataPushSocket("laser", 0, "callback_async", callback=print, host="127.0.0.1")
direct = DataPushSocket("laser", 0, "callback_direct", callback=lambda data: data, host="127.0.0.1")
never = DataPullSocket("laser", ["a"], 0, host="127.0.0.1")
for each in (pull, async_, direct):
    each.start()
client = DateDataPullClient("127.0.0.1", "laser", pull.port, timeout=10)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    line.sendto(b"json_wn#{}", ("127.0.0.1", direct.port))
    line.recv(100)
sys.exit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


def test_data_is_whole_while_sockets_come_and_go(line) -> None:
    with DataPullSocket("laser", ["a"], 0, host=LOCAL) as pull:
        failures: queue.Queue = queue.Queue()

        def come_and_go() -> None:
            try:
                for _ in range(100):
                    DataPullSocket("other", ["a"], 0, host=LOCAL).stop()
            except Exception as error:
                failures.put(error)

        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        client = line(pull.port)
        while any(thread.is_alive() for thread in threads):
            assert str(pull.port) in json.loads(client.ask(b"status"))["socket_server_status"]
        for thread in threads:
            thread.join(10)
        assert failures.empty()
