"""A measurement over remote parameters stores what one over local parameters stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drivers import Digitizer
from qcodes.dataset import (
    LinSweep,
    Measurement,
    dond,
    initialise_or_create_database_at,
    load_or_create_experiment,
)
from qcodes.parameters import ArrayParameter, MultiParameter, ParameterWithSetpoints

from instrumentserver import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def both(server: Server, tmp_path: Path) -> Iterator[tuple[Digitizer, Digitizer]]:
    """Yield a local instrument and a remote one, with a database open."""
    initialise_or_create_database_at(tmp_path / "runs.db")
    load_or_create_experiment("compare", "sample")
    local = Digitizer("here")
    yield local, server.create(Digitizer, "there")
    local.close()


def stored(dataset: Any) -> dict[str, dict[str, Any]]:
    """Return what a run holds: arrays and specifications, without the instrument's name."""
    data = {
        tree: {name.replace("there", "here"): array.tolist() for name, array in arrays.items()}
        for tree, arrays in dataset.get_parameter_data().items()
    }
    specs = [
        (
            spec.name.replace("there", "here"),
            spec.type,
            spec.label,
            spec.unit,
            spec.depends_on.replace("there", "here"),
        )
        for spec in dataset.get_parameters()
    ]
    return {
        "data": {name.replace("there", "here"): value for name, value in data.items()},
        "specs": {"all": specs},
    }


def test_kinds_of_parameters_arrive_as_their_kind(both: tuple[Digitizer, Digitizer]) -> None:
    _, remote = both
    assert isinstance(remote.trace, ParameterWithSetpoints)
    assert isinstance(remote.sweep, ArrayParameter)
    assert isinstance(remote.iq, MultiParameter)
    assert list(remote.trace.setpoints) == [remote.axis]
    assert (remote.iq.names, remote.iq.units, remote.sweep.shape) == (("i", "q"), ("V", "V"), (5,))
    assert remote.iq() == (0.25, 0.75)
    remote.points(7)
    assert remote.trace().shape == (7,)
    remote.trace.validate(np.zeros(7))
    remote.trace.validate_consistent_shape()
    with pytest.raises(ValueError, match="does not have expected shape"):
        remote.trace.validate(np.zeros(6))


@pytest.mark.parametrize("name", ["trace", "sweep", "iq", "level"])
def test_a_run_over_remote_parameters_equals_a_local_one(
    both: tuple[Digitizer, Digitizer], name: str
) -> None:
    runs = []
    for instrument in both:
        dataset, _, _ = dond(
            LinSweep(instrument.gain, 0, 1, 3), instrument.parameters[name], show_progress=False
        )
        runs.append(stored(dataset))
    assert runs[0] == runs[1]
    assert runs[0]["data"]


def test_registering_and_adding_results_by_hand(both: tuple[Digitizer, Digitizer]) -> None:
    runs = []
    for instrument in both:
        measurement = Measurement()
        measurement.register_parameter(instrument.gain)
        measurement.register_parameter(instrument.trace, setpoints=(instrument.gain,))
        with measurement.run() as saver:
            for gain in (0.5, 1.5):
                instrument.gain(gain)
                saver.add_result((instrument.gain, gain), (instrument.trace, instrument.trace()))
        runs.append(stored(saver.dataset))
    assert runs[0] == runs[1]
