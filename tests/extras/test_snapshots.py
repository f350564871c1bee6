"""QCoDeS's tools for snapshots, on snapshots of remote instruments."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Channels, Meter, Scope, Source
from measuring.stored import without_circumstances
from qcodes.dataset import LinSweep, dond
from qcodes.dataset.snapshot_utils import diff_param_snapshots, diff_param_values_by_id
from qcodes.station import Station
from qcodes.utils import NumpyJSONEncoder, diff_param_values, extract_param_values

from instrumentserver import connect

pytestmark = pytest.mark.slow


def test_a_readable_snapshot(alike: Alike, capsys: pytest.CaptureFixture[str]) -> None:
    def act(bench: Bench) -> Any:
        source, rack = bench.make(Source, "source"), bench.make(Channels, "rack")
        meter = bench.make(Meter, "meter", source, server="two")
        source.v1(1.25)
        capsys.readouterr()
        for instrument in (source, rack, meter, rack.A):
            instrument.print_readable_snapshot()
        meter.print_readable_snapshot(update=True, max_chars=40)
        return capsys.readouterr().out

    shown = alike(act, stores=False)
    assert re.search(r"^v1 +:\t1\.25 \(V\)", shown, re.MULTILINE)
    assert "rack_ChanA:" in shown


@pytest.mark.parametrize("update", [False, None, True])
def test_snapshots_of_every_part(alike: Alike, update: Any) -> None:
    def act(bench: Bench) -> Any:
        source, rack, scope = (bench.make(cls, cls.__name__) for cls in (Source, Channels, Scope))
        parts = (source, rack, scope, rack.A, rack.channels, source.v1, source.millivolt, scope.multi)
        snapshots = [part.snapshot(update=update) for part in parts]
        assert json.dumps(snapshots, cls=NumpyJSONEncoder)
        return without_circumstances(snapshots)

    assert alike(act, stores=False)[5]["full_name"] == "Source_v1"


def test_values_are_taken_out_of_snapshots_and_compared(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        station = Station(source, meter)
        before = station.snapshot()
        source.v1(3)
        after = station.snapshot()
        extracted = {str(name): value for name, value in extract_param_values(after).items()}
        changed = diff_param_values({"station": before}, {"station": after}).changed
        return extracted, {str(name): values for name, values in changed.items()}

    extracted, changed = alike(act, stores=False)
    assert extracted["('source', 'v1')"] == 3
    assert changed == {"('source', 'v1')": [0.0, 3], "('source', 'millivolt')": [0.0, 3000.0]}


def test_runs_are_compared_by_their_snapshots(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        Station(source, meter)
        runs = []
        for volts in (0.5, 1.5):
            source.v3(volts)
            runs.append(dond(LinSweep(source.v1, 0, 1, 2), meter.i)[0])
        found = diff_param_snapshots(*runs)
        assert found == diff_param_values_by_id(1, 2)
        return (
            {str(name): values for name, values in found.changed.items()},
            found.left_only,
            found.right_only,
        )

    assert alike(act)[0]["('source', 'v3')"] == [0.5, 1.5]


def test_a_dead_server_does_not_keep_others_from_being_measured(bench: Bench) -> None:
    source, meter = bench.make(Source, "source"), bench.make(Meter, "meter", server="two")
    Station(source, meter)
    connect("two").kill()
    dataset, _, _ = dond(LinSweep(source.v1, 0, 1, 2), source.v2)
    assert dataset.number_of_results == 2
    assert dataset.snapshot["station"]["instruments"]["source"]["parameters"]["v1"]["value"] == 0.0
