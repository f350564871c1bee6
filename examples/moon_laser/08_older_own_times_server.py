"""Show two values with the older socket, with times of one's own. Ctrl-C ends it."""

import sys
import time

from instruments import MoonLaser
from instrumentserver.sockets import DateDataSocket

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

driver = MoonLaser("driver")
driver.update_settings(target="Fort Knox")
driver.state("active")

# Create a data socket with timeouts
socket = DateDataSocket(["s1m1", "s1m2"], timeouts=[1.0, 0.7], port=int(port), host=host)
# Start the socket server
socket.start()

try:
    print(f"port {socket.port}: s1m1, s1m2", flush=True)
    while True:
        new_value1, new_value2 = driver.fire()
        now = time.time()
        socket.set_point("s1m1", (now, new_value1))
        socket.set_point("s1m2", (now, new_value2))
except KeyboardInterrupt:
    socket.stop()
