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


def test_station_is_started_from_one_file_and_found_again(run: Run) -> None:
    printed = run("03_station.py").splitlines()
    assert printed[:2] == ["servers: meter sample source", "channel 1: 0.200 V"]
    assert printed[2].startswith("refused: 1.5 is invalid: must be between -1 and 1")
    assert printed[-1] == "found: Plunger at 200 mV"
    took = next(
        re.search(r"snapshot of 3 servers took ([\d.]+) ms", line) for line in printed if "took" in line
    )
    assert took is not None
    assert float(took[1]) < 1000
    assert list_servers() == []


def test_two_slow_meters_are_measured_at_the_same_time(run: Run, tmp_path: Path) -> None:
    printed = run("04_measuring.py")
    took = dict(re.findall(r"^(in turn|at the same time): (\d+) ms a point$", printed, re.MULTILINE))
    assert int(took["in turn"]) >= 100
    assert 50 <= int(took["at the same time"]) < 75
    assert "charge_signal: Charge sensor current, A, over dac_ch1_v" in printed.splitlines()
    with closing(open_database(tmp_path / "measuring.db")) as connection:
        runs = [load_by_run_spec(captured_run_id=number, conn=connection) for number in (1, 2)]
        for stored in (dataset.get_parameter_data("charge_signal") for dataset in runs):
            assert stored["charge_signal"]["charge_signal"].shape == (20,)
        snapshot = runs[1].snapshot
    assert list(snapshot["station"]["instruments"]) == ["dac", "dot", "charge", "current"]
    assert list_servers() == []


def test_a_watched_ramp_tells_each_step_and_goes_on_after_the_end_of_its_server(run: Run) -> None:
    printed = run("05_watch.py").splitlines()
    assert "source: at 0.0 V" in printed
    steps = [line for line in printed if line.startswith("source: 0.") and line.endswith(" 0 dropped")]
    assert [line.split()[1] for line in steps] == ["0.0", "0.0", "0.1", "0.2", "0.3", "0.4", "0.0"]
    assert "meter: 0.4 V" in printed
    assert printed.index("source: disconnected") > printed.index("meter: 0.4 V")
    assert list_servers() == []


def test_a_time_tagger_is_shared_by_its_uri(run: Run) -> None:
    first, *other, refused, freed = run("06_time_tagger.py").splitlines()
    serial = "1740000JG2"
    assert first == f"process 1: {serial}"
    assert other == [f"process 2: {serial}, test signal True", "process 2: 800 kHz 800 kHz"]
    assert re.fullmatch(
        r"process 2: @TimeTagger-\S+ is used by 06_time_tagger.py \(pid \d+\) .*force=True.*", refused
    )
    assert freed.startswith(f"process 1: Time Tagger {serial} was freed with freeTimeTagger")
    assert list_servers() == []


def test_threads_share_the_measurements_of_a_time_tagger(run: Run) -> None:
    *lines, last = run("07_time_tagger_threads.py").splitlines()
    rows = re.findall(r"^(slow|fast): \[([\d ]+)\]$", "\n".join(lines), re.MULTILINE)
    assert len(rows) == len(lines)
    for name, bins, counts in (("slow", 2, 4e5), ("fast", 5, 8e4)):
        shown = [[int(number) for number in row.split()] for thread, row in rows if thread == name]
        assert len(shown) >= 2
        assert {len(row) for row in shown} == {bins}
        assert shown[-1][-1] == pytest.approx(counts, rel=1e-3)
    counted = re.fullmatch(r"main: (\d+) counts in whole bins of the slow counter", last)
    assert counted is not None
    bins = int(counted[1]) / 399_995
    assert bins >= 1
    assert bins == pytest.approx(round(bins), abs=1e-4)
    assert list_servers() == []


def test_live_count_rate_leaves_its_last_frame(run: Run, tmp_path: Path) -> None:
    printed = run("08_live_count_rate.py", "12")
    low, high = re.findall(r"^12 updates; between (\d+) and (\d+) kHz$", printed, re.MULTILINE)[0]
    assert int(low) < 10
    assert 40 < int(high) < 80
    assert (tmp_path / "live_count_rate.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert list_servers() == []
