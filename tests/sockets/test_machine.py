"""What is told of the computer, and what becomes of it where the computer is another one."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from sockets.contract import SYSTEM_STATUS

from instrumentserver.sockets import machine
from instrumentserver.sockets.machine import system_status


def test_status_is_plain_and_plausible() -> None:
    status = system_status()
    assert set(status) == SYSTEM_STATUS
    assert json.loads(json.dumps(status)) == status
    assert status["machine_name"] == socket.gethostname()
    assert status["number_of_python_threads"] == threading.active_count()
    assert status["python_version"].startswith("3.")
    assert 0 < status["filesystem_usage"]["free_bytes"] < status["filesystem_usage"]["total_bytes"]


def test_what_the_computer_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def fails(*arguments: object) -> None:
        raise OSError

    monkeypatch.chdir(tmp_path)
    text, changed = machine._text, machine._changed
    monkeypatch.setattr(machine, "_text", lambda path: text(tmp_path / "nothing"))
    monkeypatch.setattr(machine, "_changed", lambda path: changed(str(tmp_path / "nothing")))
    monkeypatch.setattr(machine.shutil, "disk_usage", fails)
    monkeypatch.setattr(machine.os, "getloadavg", fails, raising=False)
    status = system_status()
    known = {
        "python_version",
        "number_of_python_threads",
        "machine_name",
        "os_version",
        "max_python_mem_usage_bytes",
    }
    assert {key for key, value in status.items() if value is not None} <= known


def test_raspberry_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/device-tree/model": "Raspberry Pi 4",
        "/sys/class/thermal/thermal_zone0/temp": "48312",
        "/sys/block/mmcblk0/device/serial": "0x2a",
        "/proc/uptime": "12.5 40.25",
    }
    monkeypatch.setattr(machine, "_text", lambda path: files.get(str(path)))
    status = system_status()
    assert (status["rpi_model"], status["rpi_temperature"], status["sd_card_serial"]) == (
        "Raspberry Pi 4", 48.312, "0x2a"
    )  # fmt: skip
    assert status["uptime"] == {"uptime_sec": 12.5, "idle_sec": 40.25}
    assert status["mac_address"] is None


def test_last_fetch_is_that_of_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    before = time.time()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "FETCH_HEAD").touch()
    assert abs(system_status()["last_git_fetch_unixtime"] - before) < 100
