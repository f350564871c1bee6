"""A station of ten servers is snapshot within the time that a user does not notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("station.py")
LIMIT = 25.0
"""Longest that a snapshot of 10 servers with 100 parameters each may take, without reading hardware, ms."""


@pytest.mark.benchmark
def test_a_station_of_ten_servers_is_snapshot_in_25_ms(tmp_path: Path) -> None:
    found = tmp_path / "station.json"
    best = float("inf")
    # A neighbour on the machine can only slow a snapshot down: the best of several runs is the truest.
    for _ in range(4):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--rounds", "20", "--json", str(found)],
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        print(done.stdout)
        best = min(best, json.loads(found.read_text())["rows"][0]["median"])
        if best <= LIMIT:
            break

    assert best <= LIMIT
