"""Plot count rates live, of a source that blinks; leaves live_count_rate.png after the last update."""

import sys

import matplotlib.pyplot as plt
import numpy as np

from instrumentserver import start_server, stop_server

updates = int(sys.argv[1]) if len(sys.argv) > 1 else 200

server = start_server("lab")
TT = server.serve("instruments.time_tagger", "timetagger", lock="none")
bench = server.serve("instruments.time_tagger.simulation", "bench").bench()
for channel in (1, 2):
    bench.set_detector(channel, efficiency=0.6, dark_counts=2e3)

tagger = TT.createTimeTagger()
counter = TT.Counter(tagger, [1, 2], binwidth=int(2e10), n_values=100)
seconds = (counter.getIndex() - counter.getIndex()[-1]) / 1e12

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
lines = axes.plot(seconds, np.full((100, 2), np.nan))
axes.set(xlabel="Time from now (s)", ylabel="Count rate (kHz)", xlim=(seconds[0], 0), ylim=(0, 90))
axes.legend(lines, ["channel 1", "channel 2"], loc="upper left")

for update in range(updates):
    if update % 20 == 5:
        bench.single_emitter([1, 2], rate=2e5, lifetime=10e-9)
    elif update % 20 == 15:
        bench.clear()
    plt.pause(0.05)
    for line, rates in zip(lines, counter.getDataNormalized(), strict=True):
        line.set_ydata(rates / 1e3)

figure.savefig("live_count_rate.png")
rates = counter.getDataNormalized()
print(f"{updates} updates; between {np.nanmin(rates) / 1e3:.0f} and {np.nanmax(rates) / 1e3:.0f} kHz")
TT.freeTimeTagger(tagger)
stop_server("lab")
