"""Ask for two values, as a program of long ago does."""

import socket
import sys

host, port = sys.argv[1:] or ["127.0.0.1", 9000]

line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(10)
for command in (b"codenames_raw", b"raw", b"s1m1#raw", b"name"):
    line.sendto(command, (host, int(port)))
    print(line.recv(1024).decode("ascii"))
line.close()
