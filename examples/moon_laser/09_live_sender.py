"""Fire five shots, and send each to the live server at once."""

import sys

from instruments import MoonLaser
from instrumentserver.sockets import LiveSocket

host, port = sys.argv[1:] or ["127.0.0.1", 8100]

laser = MoonLaser("laser")
laser.update_settings(target="Fort Knox")
laser.state("active")

codenames = ["moon_laser_power", "moon_laser_duration", "moon_laser_state"]
# It also shows the last points as a pull socket does, at port 8000; here at any free one.
with LiveSocket("laser", codenames, (host, int(port)), internal_data_pull_socket_port=0) as live:
    live.set_point_now("moon_laser_state", "active")
    for _ in range(5):
        power, duration = laser.fire()
        live.set_batch_now({"moon_laser_power": power, "moon_laser_duration": duration})
    live.reset(["moon_laser_state"])
print("5 shots sent")
