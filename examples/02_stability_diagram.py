"""Measure the stability diagram of a double quantum dot: four servers, one dataset, one picture."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment

from instruments import Dac, Dmm, Dot
from instrumentserver import stop_server
from meta import Gates

POINTS = 100  # per axis

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "output"
folder.mkdir(parents=True, exist_ok=True)
database, picture = folder / "stability.db", folder / "stability.png"

# Drivers on three servers; the dot is wired to the DAC, the multimeter to the dot's charge sensor.
dac = Dac("dac", server_name="source")
dot = Dot("dot", gates=[dac.ch1.v, dac.ch2.v], server_name="sample")
dmm = Dmm("dmm", source=dot.sensor, gain=1e8, server_name="meter")
# A meta instrument on a fourth server turns the two channels into gates.
gates = Gates("gates", instruments=[dac.ch1, dac.ch2], parameter="v", server_name="gates")

dot.bias(4e-4)
initialise_or_create_database_at(database)
load_or_create_experiment("double dot", sample_name="simulated")
dataset, _, _ = dond(
    LinSweep(gates.c1, 0, 0.3, POINTS),
    LinSweep(gates.c0, 0, 0.3, POINTS),
    dmm.signal,
    dot.current,
    measurement_name="stability diagram",
    show_progress=True,
)
gates.setBothAsync(0)

data = dataset.get_parameter_data()
figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
for axis, parameter, scale, unit in ((axes[0], dmm.signal, 1e9, "nA"), (axes[1], dot.current, 1e12, "pA")):
    values = data[parameter.full_name]
    x, y = (1e3 * values[gate.full_name] for gate in (gates.c0, gates.c1))
    image = axis.pcolormesh(x, y, scale * values[parameter.full_name], cmap="inferno", rasterized=True)
    figure.colorbar(image, ax=axis, label=f"{parameter.label} ({unit})")
    axis.set(xlabel=f"{gates.c0.label} (mV)", ylabel=f"{gates.c1.label} (mV)", title=parameter.label)
figure.suptitle(f"Double quantum dot, bias {1e6 * dot.bias():.0f} µV, {1e3 * dot.temperature():.0f} mK")
figure.savefig(picture, dpi=150)
print(f"picture: {picture}\ndatabase: {database}, run {dataset.captured_run_id}")

for server in ("gates", "meter", "sample", "source"):
    stop_server(server)
