"""Control the laser from the secret lair: what is listed, and nothing else. Ctrl-C ends it."""

import sys
import time

from instruments import MoonLaser
from instrumentserver import stop_server
from instrumentserver.sockets import DataPushSocket, control

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

laser = MoonLaser("laser", server_name="moon")
name = "Laser control for giant laser on the moon"
try:
    with (
        DataPushSocket(name, port=int(port), host=host) as socket,
        control(
            laser,
            socket,
            parameters=["power", "focus", "target"],
            methods={
                "update_settings": laser.update_settings,
                "state": laser.set_state,
                "fire": laser.fire,
                "last_shot": laser.get_values,
            },
            reads=["last_shot"],
            roles={"127.0.0.1": "operator", "192.168.1.0/24": "viewer"},
        ),
    ):
        print(f"port {socket.port}: {name}", flush=True)
        while True:
            time.sleep(1)
except KeyboardInterrupt:
    stop_server("moon")
