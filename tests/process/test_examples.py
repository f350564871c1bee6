"""Every example runs as it stands, and prints what the tutorial says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from qcodes.dataset import connect as open_database
from qcodes.dataset import load_by_run_spec

from instrumentserver import list_servers

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs an example in a folder of its own, and returns what it printed."""

    def run_example(name: str, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *args],
            cwd=tmp_path,
            env={**os.environ, "MPLBACKEND": "Agg"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=55,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_example


def test_every_example_has_a_test_here() -> None:
    named = set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text("utf-8")))
    assert {path.name for path in EXAMPLES.glob("*.py")} == named


def test_meta_prints_the_numbers_of_the_tutorial_and_stops_its_servers(run: Run) -> None:
    printed = run("01_meta.py")
    numbers = [line for line in printed.splitlines() if line.isdigit()]
    assert numbers == ["25", "25", "1", "1", "0", "0"]
    assert list_servers() == []
    # Each set takes 0.5 s: both at the same time take as long as one.
    took = dict(re.findall(r"^(\w+) took ([\d.]+) s$", printed, re.MULTILINE))
    assert float(took["setBoth"]) >= 1.0
    assert 0.5 <= float(took["setBothAsync"]) < 0.6


def test_stability_diagram_leaves_picture_and_dataset_and_no_server(run: Run, tmp_path: Path) -> None:
    printed = run("02_stability_diagram.py", "measured")
    picture, database = tmp_path / "measured" / "stability.png", tmp_path / "measured" / "stability.db"
    assert f"picture: {picture.relative_to(tmp_path)}" in printed
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    with closing(open_database(database)) as connection:
        data = load_by_run_spec(captured_run_id=1, conn=connection).get_parameter_data()
    assert set(data) == {"dmm_signal", "dot_current"}
    for name, values in data.items():
        assert values[name].shape == (100, 100)
        assert np.isfinite(values[name]).all()
        assert np.ptp(values[name]) > 0
    assert list_servers() == []
