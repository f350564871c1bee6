"""Have a function called with each command, while the program watches the laser. Ctrl-C ends it."""

import sys
import time

from instruments import MoonLaser
from instrumentserver.sockets import DataPushSocket

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

laser = MoonLaser("laser")
laser.state("active")


def callback_func(data):
    """Aim and fire; called in a thread of its own, for one command after the other."""
    print(f"Received: {data}\n", end="", flush=True)
    laser.update_settings(**data)
    _, duration = laser.fire()
    print(f"Fired {duration} s at {data['target']}\n", end="", flush=True)


name = "Command callback socket for giant laser on the moon"
dps = DataPushSocket(name, port=int(port), action="callback_async", callback=callback_func, host=host)
dps.start()

try:
    print(f"port {dps.port}: {name}", flush=True)
    while True:
        if laser.state() == "fire":
            print(f"Temperature: {laser.temperature():.0f} K\n", end="", flush=True)
        time.sleep(0.1)
except KeyboardInterrupt:
    dps.stop()
