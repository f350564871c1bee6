"""See the laser's power change, with nothing but Python's own library."""

import json
import socket
import sys
import time

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)

    def ask(command):
        line.sendto(command.encode("ascii"), (host, int(port)))
        return line.recv(65535).decode("ascii")

    print(ask("name"), ask("codenames_raw"))
    powers = []
    while len(powers) < 3:
        point = json.loads(ask("moon_laser_power#json"))
        if point != "OLD_DATA" and point[1] not in powers:
            powers.append(point[1])
            print(f"{point[1]:.0f} GW")
        time.sleep(0.05)
    print(ask("moon_laser_state#raw").partition(",")[2])
