"""Set the laser's parameters, fire, and try what is not allowed. 06_push_control_client.py works here, too."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    for command in (
        {"power": 300, "target": "Fort Knox"},
        {"method": "state", "state": "active"},
        {"method": "fire"},
        {"power": 200, "focus": 101},  # nothing is set if one is wrong
        {"method": "update_settings", "colour": "green"},
        {"method": "state"},
        {"method": "__repr__"},
        {"method": "close"},
    ):
        line.sendto(f"json_wn#{json.dumps(command)}".encode("ascii"), (host, int(port)))
        word, _, rest = line.recv(65535).decode("ascii").partition("#")
        print(f"{word}: {json.loads(rest) if word == 'RET' else rest}")
