"""Measure instruments on servers as if they were here: two slow meters in turn, then at the same time."""

import time

from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment
from qcodes.station import Station

from instruments import Dac, Dmm, Dot
from instrumentserver import stop_server

dac = Dac("dac", server_name="source")
dot = Dot("dot", gates=[dac.ch1.v, dac.ch2.v], server_name="sample")
# Each reading takes 50 ms; the meters are on servers of their own.
charge = Dmm("charge", source=dot.sensor, gain=1e8, cycle=0.05, server_name="charge_meter")
current = Dmm("current", source=dot.current, gain=1e9, cycle=0.05, server_name="current_meter")
Station(dac, dot, charge, current)  # its snapshot is stored with every run

initialise_or_create_database_at("measuring.db")
load_or_create_experiment("double dot", sample_name="simulated")
points = 20
for use_threads in (False, True):
    started = time.perf_counter()
    sweep = LinSweep(dac.ch1.v, 0, 0.3, points)
    dataset, _, _ = dond(sweep, charge.signal, current.signal, use_threads=use_threads)
    took = (time.perf_counter() - started) / points
    print(f"{'at the same time' if use_threads else 'in turn'}: {1e3 * took:.0f} ms a point")

for spec in dataset.get_parameters():
    print(
        f"{spec.name}: {spec.label}, {spec.unit}" + (f", over {spec.depends_on}" if spec.depends_on else "")
    )
with dac.ch1.v.set_to(0.1):  # and back
    print(f"sensor at {dac.ch1.v()} V: {1e9 * charge.signal():.3f} nA")
print(f"and at {dac.ch1.v():.1f} V, where the sweep has ended: {1e9 * charge.signal():.3f} nA")

for server in ("charge_meter", "current_meter", "sample", "source"):
    stop_server(server)
