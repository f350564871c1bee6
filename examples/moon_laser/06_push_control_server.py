"""Control an entire class from the secret lair, which gets what its methods return. Ctrl-C ends it."""

import sys
import time

from instrumentserver.sockets import DataPushSocket


class LaserControl:
    def __init__(self, host="127.0.0.1", port=8500):
        self.settings = {"power": 100, "focus": 100, "target": None}
        self._state = "idle"
        self.stop = False
        name = "Laser control, callback socket, for giant laser on the moon"
        with DataPushSocket(name, int(port), "callback_direct", callback=self.callback, host=host) as dps:
            print(f"port {dps.port}: {name}", flush=True)
            while not self.stop:
                time.sleep(0.1)

    def callback(self, data):
        method_name = data.pop("method")
        # Whoever reaches the port calls whatever this object has: in 11_control_server.py, only what is listed.
        return self.__getattribute__(method_name)(**data)

    def update_settings(self, **kwargs):
        for key in kwargs:
            if key not in self.settings:
                raise ValueError(f"Not settings for key: {key}")
        self.settings.update(kwargs)
        return f"Updated settings with: {kwargs}"

    def state(self, state):
        self._state = state
        return f"State set to: {state}"


try:
    LaserControl(*sys.argv[1:])
except KeyboardInterrupt:
    pass
