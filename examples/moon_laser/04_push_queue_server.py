"""Receive commands for the giant laser, and miss none: they wait in a queue. Ctrl-C ends it."""

import sys

from instrumentserver.sockets import DataPushSocket

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

name = "Command receive socket for giant laser on the moon"
# With queue=queue.Queue(1000) the 1001st that waits is refused, and its sender knows.
dps = DataPushSocket(name, port=int(port), action="enqueue", host=host)
dps.start()
queue = dps.queue  # Local variable to hold the queue

try:
    print(f"port {dps.port}: {name}", flush=True)
    while True:
        # Get one point
        print(f"from the queue: {queue.get()}", flush=True)
        # Get all that have come meanwhile
        for _ in range(queue.qsize()):
            print(f"from the queue: {queue.get()}", flush=True)
except KeyboardInterrupt:
    dps.stop()
