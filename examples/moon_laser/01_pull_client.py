"""Ask for the laser's last shot, with nothing but Python's own library."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)  # a datagram may be lost

    def ask(command):
        line.sendto(command.encode("ascii"), (host, int(port)))
        return line.recv(65535).decode("ascii")

    for command in ("name", "codenames_raw", "raw_wn", "json_wn", "moon_laser_power#raw", "help"):
        print(f"{command}: {ask(command)}")

    point = json.loads(ask("moon_laser_power#json"))
    if point == "OLD_DATA":
        print("no shot in the last second")
    else:
        print(f"{point[1]:.0f} GW")
