"""Ask for two values, and see that they were measured together."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    line.sendto(b"json", (host, int(port)))
    points = json.loads(line.recv(65535))
    if "OLD_DATA" in points:
        print("too old")
    else:
        (time1, value1), (time2, value2) = points
        print(f"measured together: {time1 == time2}; {value1:.0f} GW for {value2} s")
