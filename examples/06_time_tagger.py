"""Share a Time Tagger: one process creates it, another one uses the same tagger by its URI."""

import subprocess
import sys

from instrumentserver import Proxy, UsageError, start_server, stop_server


def process_2(uri):
    TT, tagger = Proxy("unix:lab/timetagger"), Proxy(uri)
    print(f"process 2: {tagger.getSerial()}, test signal {tagger.getTestSignal(1)}")
    rate = TT.Countrate(tagger, [1, 2])
    rate.startFor(int(2e11))
    rate.waitUntilFinished()
    print("process 2:", *(f"{counts / 1e3:.0f} kHz" for counts in rate.getData()))
    try:
        TT.freeTimeTagger(tagger)
    except UsageError as error:
        print(f"process 2: {error}")


if len(sys.argv) > 1:
    process_2(sys.argv[1])
    sys.exit()

# With hardware: serve("Swabian.TimeTagger", "timetagger", lock="none")
TT = start_server("lab").serve("instruments.time_tagger", "timetagger", lock="none")
tagger = TT.createTimeTagger()
tagger.setTestSignal([1, 2], True)
print(f"process 1: {tagger.getSerial()}", flush=True)
# In a lab, another notebook: it needs the URI and nothing else.
subprocess.run([sys.executable, __file__, tagger.uri], check=True)
rate = TT.Countrate(tagger, [1])
TT.freeTimeTagger(tagger)
try:
    rate.getData()
except RuntimeError as error:
    print(f"process 1: {error}")
stop_server("lab")
