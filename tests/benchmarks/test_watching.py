"""Watching is fast, and costs those who do not watch nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("watching.py")
AT_MOST = {
    "us added to an unwatched set": 1.0,
    "x set beside a sleeping newest subscriber": 1.1,
    "x set beside a sleeping lossless subscriber": 1.1,
    "gets from write to callback": 3.0,
}
AT_LEAST = {"updates/s to one subscriber": 50_000}


def figures(folder: Path) -> dict[str, float]:
    """Return what one run of the benchmark finds, in a process of its own as users run it."""
    found = folder / "watching.json"
    command = [sys.executable, str(SCRIPT), "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    (only,) = json.loads(found.read_text())
    return dict(only)


@pytest.mark.benchmark
@pytest.mark.timeout(600)
def test_watching_is_fast_and_costs_others_nothing(tmp_path: Path) -> None:
    least = dict.fromkeys(AT_MOST, float("inf"))
    most = dict.fromkeys(AT_LEAST, 0.0)
    # A neighbour on the machine can only slow things down: the best of twelve runs is the truest.
    for _ in range(12):
        found = figures(tmp_path)
        least = {name: min(value, found[name]) for name, value in least.items()}
        most = {name: max(value, found[name]) for name, value in most.items()}
        missed = {name: value for name, value in least.items() if value > AT_MOST[name]}
        missed |= {name: value for name, value in most.items() if value < AT_LEAST[name]}
        if not missed:
            return
    assert missed == {}
