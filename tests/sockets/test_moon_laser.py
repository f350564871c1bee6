"""Every example of the giant laser on the moon runs as it stands, server and client, and ends with Ctrl-C."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from instrumentserver import list_servers

pytestmark = pytest.mark.slow

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "moon_laser"
PATIENCE: Final = 20.0
LONGEST: Final = 40
"""Most lines of an example."""


class Program:
    """A running example, and the lines that it has printed."""

    def __init__(self, name: str, *args: str) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / name, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def port(self) -> str:
        """The port that its first line tells."""
        return self.wait_for(r"port (\d+): .+")[1]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first line that is like the pattern; waits for it."""
        with self._news:
            found = self._news.wait_for(lambda: self._find(pattern), PATIENCE)
        assert found, f"no line like {pattern!r} in {self.lines}"
        return found

    def end(self) -> list[str]:
        """Press Ctrl-C, and return all lines."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE) == 0, self.lines
        self._reader.join(PATIENCE)
        return self.lines

    def kill(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _find(self, pattern: str) -> re.Match[str] | None:
        return next((found for line in self.lines if (found := re.fullmatch(pattern, line))), None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts an example at a free port of this computer."""
    started: list[Program] = []

    def begin(name: str, *ports: str) -> Program:
        started.append(Program(name, "127.0.0.1", *(ports or ("0",))))
        return started[-1]

    yield begin
    for program in started:
        program.kill()


def run(name: str, port: str) -> list[str]:
    """Return what a client prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, "127.0.0.1", port],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def run_until(name: str, port: str, line: str) -> list[str]:
    """Return what a client prints once it prints a line: before the first shot, every point is old."""
    latest = time.monotonic() + PATIENCE
    while True:
        lines = run(name, port)
        if "OLD_DATA" not in str(lines) and any(re.fullmatch(line, printed) for printed in lines):
            return lines
        assert time.monotonic() < latest, lines


def test_every_example_has_a_test_here_and_is_short() -> None:
    named = set(re.findall(r'"(\w+\.py)"', Path(__file__).read_text("utf-8")))
    assert {path.name for path in EXAMPLES.glob("*.py")} == named
    long = [path.name for path in EXAMPLES.glob("*.py") if path.read_text("utf-8").count("\n") > LONGEST]
    assert long == []


def test_the_last_shot_is_shown_to_a_program_of_ten_lines(start: Start) -> None:
    server = start("01_pull_server.py")
    lines = run_until("01_pull_client.py", server.port, r"\d+ GW")
    told = dict(line.split(": ", 1) for line in lines[:-1])
    assert told["name"] == "Last shot usage data from the giant laser on the moon"
    assert told["codenames_raw"] == "moon_laser_power,moon_laser_duration"
    assert re.fullmatch(r"moon_laser_power:[\d.]+,[\d.]+;moon_laser_duration:[\d.]+,0\.1", told["raw_wn"])
    assert json.loads(told["json_wn"])["moon_laser_power"][1] == pytest.approx(100, rel=0.1)
    assert float(told["moon_laser_power#raw"].split(",")[1]) == pytest.approx(100, rel=0.1)
    assert told["help"] == "UNKNOWN_COMMMAND"
    assert len(server.end()) == 1


def test_shots_have_times_of_ones_own_and_fields_are_attributes(start: Start) -> None:
    server = start("02_pull_own_times_server.py")
    codenames, power, fields, status = run_until("02_pull_own_times_client.py", server.port, r"\d+ GW")
    assert codenames == "['moon_laser_power', 'moon_laser_duration']"
    assert int(power.split()[0]) == pytest.approx(100, rel=0.1)
    shown = ast.literal_eval(fields)
    assert set(shown) == {"moon_laser_power", "moon_laser_duration"}
    assert shown["moon_laser_duration"][1] == 0.1
    assert ast.literal_eval(status)[server.port]["type"] == "date"
    assert len(server.end()) == 1


def test_the_last_command_and_all_of_them_together_are_seen(start: Start) -> None:
    server = start("03_push_last_server.py")
    assert run("03_push_last_client.py", server.port) == [
        "ACK: {'power': 300, 'target': 'Fort Knox'}",
        "ACK: {'power': 250.5, 'mirrors': [1, 2, 3], 'armed': True}",
        "ERROR: The data type 'watt' is unknown. Only dict_keys(['int', 'float', 'str', 'bool']) are allowed",
    ]
    together = {"power": 250.5, "target": "Fort Knox", "mirrors": [1, 2, 3], "armed": True}
    server.wait_for(re.escape(f"updated: {together}"))
    assert server.end()[-2] == "last: {'power': 250.5, 'mirrors': [1, 2, 3], 'armed': True}"


def test_no_command_is_missed_in_a_queue(start: Start) -> None:
    server = start("04_push_queue_server.py")
    assert run("04_push_queue_client.py", server.port) == ["10 acknowledged"]
    server.wait_for(r"from the queue: {'focus': 9}")
    assert server.end()[1:] == [f"from the queue: {{'focus': {focus}}}" for focus in range(10)]


def test_a_function_is_called_with_each_command_while_the_temperature_is_watched(start: Start) -> None:
    server = start("05_push_callback_server.py")
    targets = ["Fort Knox", "the Eiffel Tower", "the Golden Gate"]
    assert run("05_push_callback_client.py", server.port) == [
        f"ACK#{ {'target': target, 'duration': 0.3} }" for target in targets
    ]
    server.wait_for(r"Fired 0.3 s at the Golden Gate")
    lines = server.end()
    assert [line.partition(" at ")[2] for line in lines if line.startswith("Fired")] == targets
    assert any(re.fullmatch(r"Temperature: 1\d\d K", line) for line in lines)


def test_a_class_is_controlled_and_answers(start: Start) -> None:
    server = start("06_push_control_server.py")
    *answers, hole = run("06_push_control_client.py", server.port)
    assert answers == [
        "RET: Updated settings with: {'power': 300, 'focus': 10}",
        "RET: State set to: active",
        "RET: Updated settings with: {'power': 250.5, 'target': 'Fort Knox'}",
        "RET: State set to: idle",
        "EXCEP: Not settings for key: colour",
    ]
    assert hole.startswith("RET: <__main__.LaserControl object")
    server.end()


def test_the_older_socket_has_no_name(start: Start) -> None:
    server = start("07_older_server.py")
    codenames, raw, one, name = run_until("07_older_client.py", server.port, r"[\d.,;]+")
    assert (codenames, name) == ("s1m1,s1m2", "UNKNOWN_COMMMAND")
    assert re.fullmatch(r"[\d.]+,[\d.]+;[\d.]+,0\.1", raw)
    assert re.fullmatch(r"[\d.]+,[\d.]+", one)
    assert len(server.end()) == 1


def test_values_of_the_older_socket_have_one_time(start: Start) -> None:
    server = start("08_older_own_times_server.py")
    pattern = r"measured together: True; \d+ GW for 0.1 s"
    assert len(run_until("08_older_own_times_client.py", server.port, pattern)) == 1
    assert len(server.end()) == 1


def test_every_point_of_a_live_socket_reaches_the_live_server(start: Start) -> None:
    server = start("09_live_server.py")
    assert run("09_live_sender.py", server.port) == ["5 shots sent"]
    server.wait_for(r"moon_laser_state: None")
    lines = server.end()[1:]
    assert (lines[0], lines[-1]) == ("moon_laser_state: active", "moon_laser_state: None")
    assert lines.count("moon_laser_duration: 0.1") == 5
    powers = [float(line.split(": ")[1]) for line in lines if line.startswith("moon_laser_power")]
    assert powers == pytest.approx([100] * 5, rel=0.1)


def test_changes_of_an_instrument_on_a_server_are_published(start: Start) -> None:
    server = start("10_publish_server.py")
    first, *powers, _ = run_until("10_publish_client.py", server.port, "idle")
    assert first == "laser moon_laser_power,moon_laser_state,moon_laser_temperature"
    assert len(set(powers)) == 3
    assert all(re.fullmatch(r"[1-9]00 GW", power) for power in powers)
    assert len(server.end()) == 1
    assert list_servers() == []


def test_what_is_listed_can_be_controlled_and_nothing_else(start: Start) -> None:
    server = start("11_control_server.py")
    *done, focus, colour, missing, hole, close = run("11_control_client.py", server.port)
    assert done[:2] == ["RET: {'power': 300, 'target': 'Fort Knox'}", "RET: State set to: active"]
    assert re.fullmatch(r"RET: \[[\d.]+, 0\.1\]", done[2])
    assert focus.startswith("EXCEP: focus: 101 is invalid: must be between 0 and 100 inclusive")
    assert colour.startswith("EXCEP: laser has no setting 'colour'")
    assert missing.startswith("EXCEP: state: missing a required argument: 'state'")
    assert hole.startswith("EXCEP: there is no method '__repr__' here")
    assert close.startswith("EXCEP: there is no method 'close' here")
    # What was written for the class of one's own finds what it knows, and the hole closed.
    *answers, colour, hole = run("06_push_control_client.py", server.port)
    assert answers == [
        "RET: Updated settings with: {'power': 300, 'focus': 10}",
        "RET: State set to: active",
        "RET: Updated settings with: {'power': 250.5, 'target': 'Fort Knox'}",
        "RET: State set to: idle",
    ]
    assert colour.startswith("EXCEP: laser has no setting 'colour'")
    assert hole.startswith("EXCEP: there is no method '__repr__' here")
    server.end()
    assert list_servers() == []
