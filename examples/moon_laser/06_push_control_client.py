"""Control the giant laser from the secret lair: JSON and raw commands, what comes back, and errors."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    for command in (
        "json_wn#" + json.dumps({"method": "update_settings", "power": 300, "focus": 10}),
        "json_wn#" + json.dumps({"method": "state", "state": "active"}),
        "raw_wn#method:str:update_settings;power:float:250.5;target:str:Fort Knox",
        "raw_wn#method:str:state;state:str:idle",
        "json_wn#" + json.dumps({"method": "update_settings", "colour": "green"}),
        "json_wn#" + json.dumps({"method": "__repr__"}),
    ):
        line.sendto(command.encode("ascii"), (host, int(port)))
        word, _, rest = line.recv(65535).decode("ascii").partition("#")
        print(f"{word}: {json.loads(rest) if word == 'RET' else rest}")
