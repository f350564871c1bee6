"""Instruments shown and controlled through data sockets by the command line, run as users run it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner
from lamps import Lamp, LaserControl
from received import eventually

from instrumentserver import Server
from instrumentserver.cli import main


class Program:
    """A running command line."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "instrumentserver", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        told = re.search(r" at 127\.0\.0\.1:(\d+); Ctrl-C ends it$", self.first_line.rstrip())
        assert told, (self.first_line, self.process.communicate(timeout=20))
        self.port = int(told[1])

    def ask(self, request: bytes) -> str:
        """Send a datagram and return the answer."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
            line.settimeout(10)
            line.sendto(request, ("127.0.0.1", self.port))
            return line.recv(65536).decode("ascii")

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and what was written to standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Return what starts the command line."""
    started: list[Program] = []

    def begin(*arguments: str) -> Program:
        started.append(Program(*arguments))
        return started[-1]

    yield begin
    for program in started:
        program.process.kill()
        program.process.communicate()


@pytest.fixture
def lamp(server: Server) -> Lamp:
    return server.create(Lamp, "lamp")


def is_free(port: int) -> bool:
    """Return whether nobody has a port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
        try:
            line.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.mark.slow
def test_publish_shows_parameters_until_it_is_told_to_end(
    start: Callable[..., Program], server: Server, lamp: Lamp
) -> None:
    program = start(
        "publish",
        f"{server.name}/lamp",
        "lamp_power=power",
        "ch1.v",
        "--port",
        "0",
        "--timeout",
        "60",
        "--period",
        "0.05",
        "--name",
        "the lamp",
    )
    assert program.first_line.startswith(f"2 parameters of {server.name}/lamp are shown at ")
    assert program.ask(b"name") == "the lamp"
    assert program.ask(b"codenames_raw") == "lamp_power,ch1.v"
    lamp.power(7)
    eventually(lambda: program.ask(b"lamp_power#raw").endswith(",7"))
    assert program.end(signal.SIGINT) == (0, "")
    assert is_free(program.port)
    eventually(lambda: not server.status()["watched"])


@pytest.mark.slow
def test_publish_without_names_shows_all_that_can_be_read(
    start: Callable[..., Program], server: Server, lamp: Lamp
) -> None:
    program = start("publish", f"{server.name}/lamp", "--port", "0")
    assert program.process.stdout is not None
    head = program.process.stdout.readline().split()
    assert head == ["CODENAME", "PARAMETER"]
    codenames = json.loads(program.ask(b"codenames_json"))
    assert codenames[:2] == ["IDN", "power"]
    assert {"ch1.v", "ch2.v", "temperature"} <= set(codenames)
    assert "fuse" in codenames
    rows = [program.process.stdout.readline().split() for _ in codenames]
    assert rows == [[codename, codename] for codename in codenames]


@pytest.mark.slow
def test_control_takes_commands_until_it_is_told_to_end(
    start: Callable[..., Program], server: Server, lamp: Lamp
) -> None:
    program = start(
        "control",
        f"{server.name}/lamp",
        "--set",
        "lamp_power=power",
        "--set",
        "ch1.v",
        "--call",
        "update_settings",
        "--read",
        "sent",
        "--return-format",
        "string",
        "--port",
        "0",
    )
    assert program.first_line.startswith(f"commands for {server.name}/lamp are taken at ")
    assert program.ask(b"name") == "RET#lamp"
    assert program.ask(b"raw_wn#lamp_power:int:5;ch1.v:float:2") == "RET#{'lamp_power': 5, 'ch1.v': 2.0}"
    assert lamp.ch1.v() == 2
    assert program.ask(b'json_wn#{"method": "update_settings", "power": 6}') == "RET#power 6, focus 10"
    assert program.ask(b'json_wn#{"method": "sent"}') == "RET#['power', 'power', 'focus']"
    assert program.ask(b'json_wn#{"method": "close"}').startswith("EXCEP#there is no method 'close' here")
    code, errors = program.end(signal.SIGTERM)
    assert (code, errors) == (0, "")
    assert is_free(program.port)


@pytest.mark.slow
def test_control_keeps_viewers_to_what_only_reads(start: Callable[..., Program], server: Server) -> None:
    kept = server.serve(LaserControl(), "laser")
    program = start(
        "control",
        f"{server.name}/laser",
        "--call",
        "state",
        "--read",
        "seen=history",
        "--role",
        "127.0.0.0/8=viewer",
        "--port",
        "0",
    )
    assert program.ask(b'json_wn#{"method": "seen"}') == "RET#[[1.0, 42.0], [1.5, 45.6]]"
    assert "is a viewer here" in program.ask(b'json_wn#{"method": "state", "state": "on"}')
    del kept


def failed(*arguments: str) -> str:
    """Return the one line with which the command line fails."""
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 1, ended.output
    assert ended.output.startswith("Error: ")
    assert ended.output.count("\n") == 1
    return ended.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish", "{0}/lamp", "nothing"), "lamp has no parameter 'nothing'; there is: IDN, power"),
        (("publish", "{0}/lamp", "power", "power"), "power is given twice"),
        (
            ("publish", "{0}/lamp", "power", "--timeout", "1", "--timeout", "2"),
            "for 1 parameters; give it once",
        ),
        (("publish", "{0}", "power"), "is a server; name an instrument on it"),
        (("publish", "{0}/laser"), "is no instrument; only parameters of such can be shown"),
        (("publish", "nobody/lamp"), "no server 'nobody' runs"),
        (
            ("control", "{0}/lamp"),
            "list what is allowed with --set, --call and --read; parameters: power, focus",
        ),
        (("control", "{0}/lamp"), "methods: reset, scale, anything"),
        (("control", "{0}/laser"), "methods: history, later, nothing, state"),
        (("control", "{0}/lamp", "--call", "_secret"), "private or special"),
        (
            ("control", "{0}/lamp", "--call", "sent", "--role", "viewer"),
            "--role viewer: give each network once",
        ),
        (("control", "{0}/lamp", "--call", "sent", "--role", "x=viewer"), "'x' is no network"),
        (("control", "{0}/nothing", "--call", "sent"), "nothing"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    arguments: tuple[str, ...], words: str, server: Server, lamp: Lamp
) -> None:
    kept = server.serve(LaserControl(), "laser")
    assert words in failed(*(each.format(server.name) for each in arguments), "--port", "0")
    del kept
