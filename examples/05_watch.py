"""Watch instruments: hear of every step of a ramp, wait for a reading, go on after the server's end."""

from instruments import Dac, Dmm
from instrumentserver import connect, find_or_create_instrument, stop_server, wait_until

dac = Dac("dac", server_name="source")
dmm = Dmm("dmm", source=dac.ch1.v, server_name="meter")


# Each callback has a thread of its own: a line that is written with its end in one go stays whole.
def show(update):
    print(f"source: {update.value:.1f} V, change {update.sequence}, {update.dropped} dropped\n", end="")


def tell(subscription, state, reason):
    print(f"source: {state}\n", end="")


print(f"source: at {dac.ch1.v():.1f} V")
subscription = dac.ch1.v.subscribe(lossless=True)
subscription.add_callback(show)
subscription.add_state_callback(tell)
for step in range(5):
    dac.ch1.v(step / 10)

print(f"meter: {wait_until(dmm.signal, lambda volts: volts > 0.35, timeout=10):.1f} V")

connect("source").kill()  # as a driver does that crashes
dac = find_or_create_instrument(Dac, "dac", server_name="source")
subscription.wait_for(lambda volts: volts == 0, timeout=10)
subscription.close()
for server in ("meter", "source"):
    stop_server(server)
