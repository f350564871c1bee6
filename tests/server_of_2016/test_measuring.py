"""Measurements over instruments on a server, as the server of 2016 had them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from drivers import Digitizer
from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment

from instrumentserver import NotPortable, Server

from .bench import Bench, Gates, Meter, Source

pytestmark = pytest.mark.slow

_BACKGROUND = """
import pickle, sys
from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment
with open("work", "rb") as file:
    gate, signal = pickle.load(file)
initialise_or_create_database_at("background.db")
load_or_create_experiment("background", "sample")
dataset, _, _ = dond(LinSweep(gate, 0, 1, 5), signal, show_progress=False)
print(dataset.get_parameter_data()["meter_signal"]["meter_signal"].tolist())
"""


@pytest.fixture
def database(tmp_path: Path) -> None:
    """Have measurements stored in a new database."""
    initialise_or_create_database_at(tmp_path / "runs.db")
    load_or_create_experiment("as in 2016", "sample")


@pytest.mark.usefixtures("database")
def test_a_loop_over_remote_parameters_stores_exact_data(gates: Gates, source: Source, meter: Meter) -> None:
    source.ampl(0.5)
    dataset, _, _ = dond(LinSweep(gates.chan0, 0, 1, 5), meter.signal, show_progress=False)
    data = dataset.get_parameter_data()["meter_signal"]
    assert data["gates_chan0"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert data["meter_signal"].tolist() == [0, 0.125, 0.25, 0.375, 0.5]


def test_a_loop_in_another_process_uses_the_same_instruments(
    gates: Gates, source: Source, meter: Meter, tmp_path: Path
) -> None:
    source.ampl(0.5)
    (tmp_path / "work").write_bytes(pickle.dumps([gates.chan0, meter.signal]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _BACKGROUND],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=50,
    )
    assert done.stdout.splitlines()[-1] == "[0.0, 0.125, 0.25, 0.375, 0.5]"
    assert gates.chan0.cache() == 1


def test_a_local_instrument_is_not_sent_and_the_error_says_what_to_do(
    gates: Gates, shared_server: Server
) -> None:
    local = Bench("local_bench")
    with pytest.raises(NotPortable, match="server_name="):
        Gates("more", model=local, server_name=shared_server.name)
    with pytest.raises(RuntimeError, match="can not be pickled"):
        pickle.dumps(local)
    assert pickle.loads(pickle.dumps(gates)) is gates


@pytest.mark.usefixtures("database")
def test_a_nested_loop_over_a_composite_parameter_keeps_its_setpoints(
    gates: Gates, shared_server: Server
) -> None:
    digitizer = shared_server.create(Digitizer, "digitizer")
    dataset, _, _ = dond(
        LinSweep(gates.chan0, 0, 1, 2),
        LinSweep(digitizer.gain, 0, 1, 2),
        digitizer.sweep,
        show_progress=False,
    )
    data = dataset.get_parameter_data()["digitizer_sweep"]
    assert {name: array.shape for name, array in data.items()} == dict.fromkeys(
        ("digitizer_sweep", "gates_chan0", "digitizer_gain", "digitizer_time"), (2, 2, 5)
    )
    assert data["digitizer_sweep"][1, 1].tolist() == [0, 1, 4, 9, 16]
