"""Send a batch of shots without waiting for any: each is acknowledged before it is fired."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 8500]
targets = ["Fort Knox", "the Eiffel Tower", "the Golden Gate"]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    for target in targets:
        shot = {"target": target, "duration": 0.3}
        line.sendto(f"json_wn#{json.dumps(shot)}".encode("ascii"), (host, int(port)))
        print(line.recv(65535).decode("ascii"))
