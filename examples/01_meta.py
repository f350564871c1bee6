"""Set instruments on two servers through a meta instrument on a third: in turn, and at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from instrumentserver import Instrument, stop_server


class MyInstrument(Instrument):
    def __init__(self, name, **kwargs):
        super().__init__(name, **kwargs)
        self.x = 0
        self.add_parameter("x", get_cmd=self.getx, set_cmd=self.setx)

    def getx(self):
        return self.x

    def setx(self, val):
        time.sleep(0.5)  # slow hardware
        self.x = val


class Meta(Instrument):
    shared_kwargs = ["instruments"]

    def __init__(self, name, instruments=(), **kwargs):
        super().__init__(name, **kwargs)
        self._instrument_list = instruments
        for gate, i in enumerate(instruments):
            self.add_parameter(f"c{gate}", get_cmd=partial(i.get, "x"), set_cmd=partial(i.set, "x"))
        self.add_parameter("setBoth", get_cmd=False, set_cmd=self._set_both)
        self.add_parameter("setBothAsync", get_cmd=False, set_cmd=self._set_async)

    def _set_both(self, value):
        for i in self._instrument_list:
            i.set("x", value)

    def _set_async(self, value):
        with ThreadPoolExecutor(len(self._instrument_list)) as executor:
            jobs = [executor.submit(i.set, "x", value) for i in self._instrument_list]
        for job in jobs:
            job.result()  # raises what the set raised


base0 = MyInstrument(name="one", server_name="foo")
base1 = MyInstrument(name="two", server_name="bar")
meta = Meta(name="meta", server_name="meta_server", instruments=[base0, base1])

print("--- set meta ---")
meta.c1.set(25)
print(meta.c1.get(), base1.x.get(), sep="\n")
print("--- set base ---")
base1.x.set(1)
print(meta.c1.get(), base1.x.get(), sep="\n")
print("--- set both ---")
for both in (meta.setBoth, meta.setBothAsync):
    started = time.perf_counter()
    both.set(0)
    print(f"{both.name} took {time.perf_counter() - started:.2f} s")
print(base1.x.get(), base0.x.get(), sep="\n")

for server in ("meta_server", "foo", "bar"):
    stop_server(server)
