"""A proxied get and set stay within a small multiple of a raw socket echo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("calls.py")
LIMITS = {"get": 2.2, "set": 2.6}
"""Raw echoes that one call may take at most, dimensionless."""


def ratios(folder: Path) -> dict[str, float]:
    """Return the ratios that one run of the benchmark finds, in a process of its own as users run it."""
    found = folder / "calls.json"
    command = [
        sys.executable,
        str(SCRIPT),
        "--rounds",
        "10",
        "--calls",
        "100",
        "--no-peers",
        "--json",
        str(found),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return {row["name"]: row["ratio"] for row in json.loads(found.read_text())["rows"]}


@pytest.mark.benchmark
@pytest.mark.timeout(120)
def test_proxied_call_costs_little_more_than_a_raw_echo(tmp_path: Path) -> None:
    best = dict.fromkeys(LIMITS, float("inf"))
    # A neighbour on the machine can only slow a call down: the best of eight runs is the truest.
    for _ in range(8):
        found = ratios(tmp_path)
        best = {name: min(ratio, found[name]) for name, ratio in best.items()}
        if all(best[name] <= limit for name, limit in LIMITS.items()):
            break

    assert {name: ratio for name, ratio in best.items() if ratio > LIMITS[name]} == {}
