"""The command line, run as users run it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from caproto.sync.client import read
from click.testing import CliRunner
from p4p.client.thread import Context
from served import Bench, ca_environment

from instrumentserver import Server, list_servers
from instrumentserver.cli import main

LOOPBACK = ("--interface", "127.0.0.1", "--port", "0", "--pva-port", "0", "--pva-search-port", "0")


class Program:
    """A running command line."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "instrumentserver", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

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
def bench(server: Server) -> Bench:
    """Return an instrument on a server."""
    bench: Bench = server.create(Bench, "t")  # type: ignore[assignment]
    return bench


def run(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    begin = (
        ["-c", f"{code}; from instrumentserver.cli import main; main()"]
        if code
        else ["-m", "instrumentserver"]
    )
    command = [sys.executable, *begin, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_epics_serves_until_it_is_told_to_end(
    start: Callable[..., Program], server: Server, bench: Bench, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = start("epics", server.name, "--prefix", "lab:", *LOOPBACK)
    told = re.match(
        r"(\d+) process variables are served by Channel Access \(port (\d+)\)", program.first_line
    )
    assert told, program.first_line
    assert int(told[1]) > 10
    for name, value in ca_environment(int(told[2])).items():
        monkeypatch.setenv(name, value)
    assert read("lab:t:d", repeater=False).data[0] == 1.5
    assert program.end(number) == (0, "")


@pytest.mark.slow
def test_epics_serves_pvaccess_alone(start: Callable[..., Program], server: Server, bench: Bench) -> None:
    program = start("epics", server.name, "--no-ca", *LOOPBACK)
    told = re.match(r".*served by PVAccess \(port (\d+)\); Ctrl-C ends it", program.first_line)
    assert told, program.first_line
    conf = {"EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{told[1]}", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
    with Context("pva", conf=conf, useenv=False) as client:
        assert client.get("t:d") == 1.5


@pytest.mark.slow
def test_list_has_a_line_for_each_process_variable(server: Server, bench: Bench) -> None:
    ended = CliRunner().invoke(main, ["epics", server.name, "--prefix", "lab:", "--list", *LOOPBACK])
    assert ended.exit_code == 0, ended.output
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["lab:t:d", "DOUBLE", "rw", "V"] in lines
    assert ["lab:t:ro", "DOUBLE", "r-", "K"] in lines
    assert ["lab:t:w", "DOUBLE[3]", "rw", "A"] in lines
    assert ["lab:t:reset", "function", "-x"] in lines


@pytest.mark.slow
def test_names_that_cannot_be_are_told(server: Server, bench: Bench) -> None:
    ended = CliRunner().invoke(main, ["epics", server.name, "--prefix", "p" * 55, "--list", *LOOPBACK])
    assert "Channel Access takes 59 at most" in ended.stderr
    assert f"{'p' * 55}t:d" in ended.stdout


@pytest.mark.slow
def test_instruments_of_a_file_are_made_and_served(
    start: Callable[..., Program], new_name: Callable[[], str], tmp_path: Path
) -> None:
    name = new_name()
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        f"""
instruments:
  walker:
    type: instruments.RandomWalk
    server_name: {name}
    init: {{dt: 60}}
  here:
    type: qcodes.instrument_drivers.mock_instruments.DummyInstrument
"""
    )
    ended = run("epics", str(lab), "--no-start", "--list", *LOOPBACK)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"server '{name}' is not running" in ended.stderr
    program = start("epics", str(lab), *LOOPBACK)
    assert program.first_line.startswith("3 process variables are served"), program.first_line
    assert name in [server.name for server in list_servers()]
    assert program.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no/such.yaml",), "there is no file no/such.yaml"),
        (("foo", "--prefix", "a b"), "prefix 'a b' has ' '"),
        (("foo", "--no-ca", "--no-pva"), "leave one of them in"),
        (("-foo",), "No such option"),
        (("f oo",), "cannot name a server"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    ended = CliRunner().invoke(main, ["epics", *arguments])
    assert isinstance(ended.exception, SystemExit)
    assert words in ended.output


@pytest.mark.slow
@pytest.mark.parametrize(("package", "option"), [("caproto", "--no-ca"), ("p4p", "--no-pva")])
def test_package_that_is_missing_is_named_with_the_remedy(package: str, option: str) -> None:
    ended = run("epics", "foo", *LOOPBACK, code=f"import sys; sys.modules[{package!r}] = None")
    assert ended.returncode == 1
    assert f"the package {package} is not installed" in ended.stderr
    assert "pip install 'instrumentserver[epics]'" in ended.stderr
    assert option in ended.stderr
