"""Publish parameters of a laser on a server: without a loop, every change at once. Ctrl-C ends it."""

import itertools
import sys
import time

from instruments import MoonLaser
from instrumentserver import stop_server
from instrumentserver.sockets import publish

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

laser = MoonLaser("laser", server_name="moon")
parameters = {
    "moon_laser_power": laser.power,
    "moon_laser_state": "state",  # by its path
    "moon_laser_temperature": laser.temperature,
}
try:
    # Read every 0.5 s as well: what does not change, as the state, would be OLD_DATA after 5 s.
    with publish(laser, parameters, timeouts=5, period=0.5, host=host, port=int(port)) as publication:
        print(f"port {publication.port}: laser", flush=True)
        for power in itertools.cycle(range(100, 1000, 100)):
            laser.power(power)  # whoever sets it, also in another notebook
            time.sleep(0.2)
except KeyboardInterrupt:
    stop_server("moon")
