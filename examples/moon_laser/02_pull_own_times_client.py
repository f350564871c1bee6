"""Ask for the laser's last shot, with the client class: fields are attributes."""

import sys

from instrumentserver.sockets import DateDataPullClient

host, port = sys.argv[1:] or ["127.0.0.1", 9000]
name = "Last shot usage data from the giant laser on the moon"

# Another name at that port is an error: nobody takes one laser's data for another's.
with DateDataPullClient(host, name, port=int(port), timeout=10) as client:
    print(client.codenames)
    try:
        moment, power = client.moon_laser_power
        print(f"{power:.0f} GW")
        print(client.get_all_fields())
    except ValueError as error:
        print(error)
    print(client.get_status()["socket_server_status"])
