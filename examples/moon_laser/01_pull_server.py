"""Show the last shot of the giant laser on the moon to whoever asks. Ctrl-C ends it."""

import sys

from instruments import MoonLaser
from instrumentserver.sockets import DateDataPullSocket

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

laser = MoonLaser("laser")
laser.update_settings(target="Fort Knox")
laser.state("active")

name = "Last shot usage data from the giant laser on the moon"
codenames = ["moon_laser_power", "moon_laser_duration"]
# Who asks gets OLD_DATA instead of a power older than 1 s, or a duration older than 0.7 s.
socket = DateDataPullSocket(name, codenames, port=int(port), timeouts=[1.0, 0.7], host=host)
socket.start()

try:
    print(f"port {socket.port}: {name}", flush=True)
    while True:
        laser.fire()
        power, duration = laser.get_values()
        # To set a variable use its codename
        socket.set_point_now("moon_laser_power", power)
        socket.set_point_now("moon_laser_duration", duration)
except KeyboardInterrupt:
    socket.stop()
