"""Send commands to the giant laser, as JSON and in the raw form."""

import ast
import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    for command in (
        "json_wn#" + json.dumps({"power": 300, "target": "Fort Knox"}),
        "raw_wn#power:float:250.5;mirrors:int:1,2,3;armed:bool:True",
        "raw_wn#power:watt:250",
    ):
        line.sendto(command.encode("ascii"), (host, int(port)))
        word, _, rest = line.recv(65535).decode("ascii").partition("#")
        # What is acknowledged comes back as Python writes it.
        print(f"{word}: {ast.literal_eval(rest) if word == 'ACK' else rest}")
