"""Receive every point that live sockets send, from any number of computers. Ctrl-C ends it."""

import sys
import time

from instrumentserver.sockets import LiveServer

host, port = sys.argv[1:] or ["127.0.0.1", 8100]

# With server_name="live" it is an instrument on a server: each stream a parameter that anybody may watch.
live = LiveServer("live", port=int(port), host=host)


def show(point):
    print(f"{point.codename}: {point.y}\n", end="", flush=True)


live.subscribe(show)
try:
    print(f"port {live.port}: live server", flush=True)
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    live.close()
