"""Send a batch of commands, and wait for the reply to each: what has none may have been lost."""

import json
import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 8500]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(10)
    acknowledged = 0
    for focus in range(10):
        line.sendto(f"json_wn#{json.dumps({'focus': focus})}".encode("ascii"), (host, int(port)))
        acknowledged += line.recv(65535).startswith(b"ACK#")
    print(f"{acknowledged} acknowledged")
