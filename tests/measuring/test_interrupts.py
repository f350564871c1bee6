"""Ctrl-C in a notebook during a measurement with threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernels import CellFailed, Kernel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the test meets the driver at named pipes"),
]

CELL = """
    from instrumentserver import Instrument
    from qcodes.dataset import (
        LinSweep, dond, initialise_or_create_database_at, load_by_id, load_or_create_experiment
    )

    class Source(Instrument):
        def __init__(self, name, **kwargs):
            super().__init__(name, **kwargs)
            self.add_parameter('v', unit='V', set_cmd=None, get_cmd=None, initial_value=0)

    class Meter(Instrument):
        def __init__(self, name, folder, source, **kwargs):
            super().__init__(name, **kwargs)
            self.folder, self.source, self.readings = folder, source, 0
            self.add_parameter('i', unit='A', get_cmd=self._read)

        def _read(self):
            self.readings += 1
            if self.readings == 3:
                with open(self.folder + '/entered', 'w'):
                    pass
                with open(self.folder + '/answer') as answer:
                    answer.read()
            return 10 * self.source.v()
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Yield a kernel of this test's own."""
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.close()


def test_interrupt_keeps_the_points_and_the_next_measurement_is_right(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    for pipe in ("entered", "answer"):
        os.mkfifo(tmp_path / pipe)
    kernel.run(CELL)
    kernel.run(f"""
        initialise_or_create_database_at('runs.db')
        load_or_create_experiment('interrupted', 'sample')
        source = Source('source', server_name={new_name()!r})
        stuck = Meter('stuck', {str(tmp_path)!r}, source, server_name={new_name()!r})
        steady = Meter('steady', 'nowhere', source, server_name={new_name()!r})
        steady.readings = 100
    """)
    cell = kernel.begin("dond(LinSweep(source.v, 0, 9, 10), stuck.i, steady.i, use_threads=True)")
    (tmp_path / "entered").read_text()
    kernel.interrupt()
    # QCoDeS waits for the threads that are reading, as it does for local instruments.
    (tmp_path / "answer").write_text("")
    with pytest.raises(CellFailed) as raised:
        kernel.finish(cell)
    assert raised.value.name == "KeyboardInterrupt"
    read = "{name: read[name].tolist() for name, read in load_by_id(%d).get_parameter_data().items()}"
    assert kernel.value(read % 1) == {"stuck_i": [0, 10], "steady_i": [0, 10]}
    assert kernel.value("(load_by_id(1).completed, int(source.v()))") == (True, 2)
    kernel.run("dond(LinSweep(source.v, 5, 9, 5), stuck.i, steady.i, use_threads=True)")
    tens = [50, 60, 70, 80, 90]
    assert kernel.value(read % 2) == {"stuck_i": tens, "steady_i": tens}
