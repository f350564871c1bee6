"""Receive commands for the giant laser, and look at the last one from time to time. Ctrl-C ends it."""

import sys
import time

from instrumentserver.sockets import DataPushSocket

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

name = "Command receive socket for giant laser on the moon"
dps = DataPushSocket(name, port=int(port), action="store_last", host=host)
dps.start()

seen = None
try:
    print(f"port {dps.port}: {name}", flush=True)
    while True:
        timestamp_last, last = dps.last
        if timestamp_last != seen:
            seen = timestamp_last
            timestamp_updated, updated = dps.updated
            print(f"last: {last}", f"updated: {updated}", sep="\n", flush=True)
        time.sleep(0.1)
except KeyboardInterrupt:
    dps.stop()
