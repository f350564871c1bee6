"""Start a whole lab from one file, photograph it, and find it again as it was."""

import time
from pathlib import Path

from instrumentserver import Station, list_servers, stop_server

LAB = str(Path(__file__).with_name("lab.station.yaml"))

station = Station(config_file=LAB)
dac = station.load_dac()
# What is wired to other instruments gets them here; the rest of its arguments is in the file.
dot = station.load_dot(gates=[dac.ch1.v, dac.ch2.v])
dmm = station.load_dmm(source=dot.sensor)
print("servers:", *(server.name for server in list_servers()))

# The file's settings act on the servers: the plunger is in mV, channel 1 in V.
dac.plunger(200)
print(f"channel 1: {dac.ch1.v():.3f} V")
try:
    dac.plunger(1500)
except ValueError as error:
    print(f"refused: {error.args[0]}")
print(f"{dmm.signal.label}: {1e3 * dmm.signal():.2f} mV")

# One message for each server, all at the same time; this is what a measurement stores with its data.
started = time.perf_counter()
snapshot = station.snapshot()
print(
    f"snapshot of {len(snapshot['instruments'])} servers took {1e3 * (time.perf_counter() - started):.1f} ms"
)
dac.print_readable_snapshot()

# A restarted kernel, or another notebook, loads the same file and finds the same instruments with their values.
again = Station(config_file=LAB).load_instrument("dac")
print(f"found: {again.plunger.label} at {again.plunger():.0f} {again.plunger.unit}")

for server in ("meter", "sample", "source"):
    stop_server(server)
