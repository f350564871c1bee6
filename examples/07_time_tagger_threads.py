"""Use the measurements of one Time Tagger from several threads: proxies belong to no thread."""

import threading

from instrumentserver import start_server, stop_server


def thread_worker(name, counter, stop):
    # Code written for Pyro5 claims a proxy for its thread; here it may, and need not.
    counter._pyroClaimOwnership()
    while not stop.wait(0.25):
        # A line that is written with its end in one go stays whole.
        print(f"{name}: {counter.getData()[0]}\n", end="")


stop_event = threading.Event()
TT = start_server("lab").serve("instruments.time_tagger", "timetagger", lock="none")
tagger = TT.createTimeTagger()
tagger.setTestSignal(1, True)
tagger.setTestSignal(2, True)

slow = TT.Counter(tagger, [1], binwidth=int(5e11), n_values=2)
fast = TT.Counter(tagger, [2], binwidth=int(1e11), n_values=5)
threads = [
    threading.Thread(target=thread_worker, args=("slow", slow, stop_event)),
    threading.Thread(target=thread_worker, args=("fast", fast, stop_event)),
]
try:
    for thread in threads:
        thread.start()
    stop_event.wait(1.4)  # or until Ctrl-C
finally:
    stop_event.set()
    for thread in threads:
        thread.join()
    print(f"main: {slow.getDataTotalCounts()[0]} counts in whole bins of the slow counter")
    TT.freeTimeTagger(tagger)
    stop_server("lab")
