"""Show the laser's last shot, with the time at which it was measured. Ctrl-C ends it."""

import sys
import time

from instruments import MoonLaser
from instrumentserver.sockets import DateDataPullSocket

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

laser = MoonLaser("laser")
laser.update_settings(target="Fort Knox")
laser.state("active")

name = "Last shot usage data from the giant laser on the moon"
codenames = ["moon_laser_power", "moon_laser_duration"]
socket = DateDataPullSocket(name, codenames, port=int(port), timeouts=1.0, host=host)
socket.start()

try:
    print(f"port {socket.port}: {name}", flush=True)
    while True:
        now = time.time()
        laser.fire()
        power, duration = laser.get_values()
        # Both have the time at which the shot began; from it their age counts.
        socket.set_point("moon_laser_power", (now, power))
        socket.set_point("moon_laser_duration", (now, duration))
except KeyboardInterrupt:
    socket.stop()
