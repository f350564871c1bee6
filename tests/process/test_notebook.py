"""What a user of a Jupyter notebook sees, in real kernels."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernels import CellFailed, Kernel

from instrumentserver import connect
from instrumentserver.transport.exits import wait_for_exit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the tests meet the drivers at named pipes"),
]

BASE_CLASS = """
    class MyInstrument(Instrument):

        def __init__(self, name, **kwargs):
            super().__init__(name, **kwargs)
            self.x=0
            self.add_parameter('x',  get_cmd=self.getx, set_cmd=self.setx)

        def getx(self):
            return self.x

        def setx(self, val):
            self.x=val
"""

META_CLASS = """
    class Meta(Instrument):
        shared_kwargs = ['instruments']

        def __init__(self, name, instruments=(), **kwargs):
            super().__init__(name, **kwargs)
            self._instrument_list = instruments
            self.no_instruments = len(instruments)
            for gate in range(len(self._instrument_list)):
                self.add_parameter('c%d' % gate,
                                   get_cmd=partial(self._get, gate=gate),
                                   set_cmd=partial(self._set, gate=gate))
            self.add_parameter("setBoth", set_cmd=partial(self._set_both))
            self.add_parameter("setBothAsync", set_cmd=partial(self._set_async))

        def _set_both(self, value):
            for i in self._instrument_list:
                i.set('x', value)

        def _set_async(self, value):
            with futures.ThreadPoolExecutor(max_workers=self.no_instruments) as executor:
                jobs = []
                for i in self._instrument_list:
                    job = executor.submit(partial(i.set, 'x'), value)
                    jobs.append(job)
                futures.wait(jobs)

        def _get(self, gate):
            value =self._instrument_list[gate].get('x')
            logging.debug('Meta get gate %s' % (value))
            return value

        def _set(self, value, gate):
            logging.debug('Meta set gate %s @ value %s' % (gate, value))
            i = self._instrument_list[gate]
            i.set('x', value)
"""

MEETING_CLASS = """
    class Meeting(MyInstrument):
        # Opening a named pipe waits for the other end: two that set at the same time meet there.
        def __init__(self, name, pipe, mode, **kwargs):
            super().__init__(name, **kwargs)
            self.pipe, self.mode = pipe, mode

        def setx(self, val):
            open(self.pipe, self.mode).close()
            super().setx(val)
"""

SLOW_CLASS = """
    class Slow(Instrument):
        def __init__(self, name, folder, **kwargs):
            super().__init__(name, **kwargs)
            self.folder = folder
            self.add_parameter('slow', get_cmd=self._measure)
            self.add_parameter('finished', initial_value=0, get_cmd=None, set_cmd=None)
            for number in range(10):
                self.add_parameter(f'p{number}', get_cmd=partial(int, number))

        def _measure(self):
            with open(self.folder + '/entered', 'w'):
                pass
            with open(self.folder + '/answer') as answer:
                value = answer.read()
            self.finished(self.finished() + 1)
            return value
"""


@pytest.fixture(scope="module")
def open_kernel(tmp_path_factory: pytest.TempPathFactory, own_directory: str) -> Iterator[Kernel]:
    """Keep one kernel for all tests of this file that leave it running."""
    kernel = Kernel(tmp_path_factory.mktemp("k"))
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(open_kernel: Kernel) -> Kernel:
    """Return a kernel with an empty namespace and the imports of the tutorial."""
    open_kernel.run("%reset -f")
    return _with_imports(open_kernel)


@pytest.fixture
def own_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Return a kernel that a test may end in its own way."""
    kernel = Kernel(tmp_path)
    yield _with_imports(kernel)
    if kernel.manager.has_kernel:
        kernel.close()
    kernel.client.stop_channels()


def _with_imports(kernel: Kernel) -> Kernel:
    kernel.run("""
        import logging
        from concurrent import futures
        from functools import partial
        from instrumentserver import *
    """)
    return kernel


def _tutorial(kernel: Kernel, new_name: Callable[[], str]) -> None:
    kernel.run(BASE_CLASS)
    kernel.run(META_CLASS)
    kernel.run(f"""
        BASESERVER = {new_name()!r}
        base0 = MyInstrument(name='one', server_name=BASESERVER)
        base1 = MyInstrument(name='two', server_name=BASESERVER)
    """)
    kernel.run(f"""
        meta_server_name = {new_name()!r}
        meta = Meta(name='meta', server_name=meta_server_name,
                    instruments=[base0, base1])
    """)


def test_tutorial_typed_into_cells_gives_its_numbers(kernel: Kernel, new_name: Callable[[], str]) -> None:
    _tutorial(kernel, new_name)
    assert (
        kernel.run("""
            print("--- set meta --- ")
            meta.c1.set(25)
            print(meta.c1.get())
            print(base1.x.get())
        """)
        == "--- set meta --- \n25\n25\n"
    )
    assert (
        kernel.run("""
            print("--- set base --- ")
            base1.x.set(1)
            print(meta.c1.get())
            print(base1.x.get())
            meta.setBoth(0)
            print(base1.x.get())
            print(base0.x.get())
        """)
        == "--- set base --- \n1\n1\n0\n0\n"
    )
    assert (
        kernel.run("meta.setBothAsync(7); print(base0.x(), base1.x(), meta.c0(), meta.c1())") == "7 7 7 7\n"
    )


def test_tutorial_instruments_live_in_the_servers_that_were_named(
    kernel: Kernel, new_name: Callable[[], str]
) -> None:
    _tutorial(kernel, new_name)
    base, meta = kernel.value("(BASESERVER, meta_server_name)")
    assert list(connect(base).instruments) == ["one", "two"]
    assert list(connect(meta).instruments) == ["meta"]
    assert kernel.process.pid not in (connect(base).pid, connect(meta).pid)


def test_set_both_async_sets_both_at_the_same_time(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for cell in (BASE_CLASS, META_CLASS, MEETING_CLASS):
        kernel.run(cell)
    kernel.run(f"""
        one = Meeting('one', {pipe!r}, 'r', server_name={new_name()!r})
        two = Meeting('two', {pipe!r}, 'w', server_name={new_name()!r})
        meta = Meta('meta', server_name={new_name()!r}, instruments=[one, two])
        meta.setBothAsync(3)
    """)
    assert kernel.value("[one.x(), two.x()]") == [3, 3]


@pytest.mark.parametrize("now", [False, True], ids=["in order", "killed"])
def test_restarted_kernel_finds_the_living_instrument(
    own_kernel: Kernel, new_name: Callable[[], str], now: bool
) -> None:
    kernel, server_name = own_kernel, new_name()
    kernel.run(BASE_CLASS)
    kernel.run(f"MyInstrument('one', server_name={server_name!r}).x(12)")
    before = connect(server_name).pid
    kernel.restart(now=now)
    _with_imports(kernel)
    kernel.run(BASE_CLASS)
    kernel.run(f"one = find_or_create_instrument(MyInstrument, 'one', server_name={server_name!r})")
    assert kernel.value("one.x()") == 12
    assert kernel.value("isinstance(one, MyInstrument)") is True
    assert kernel.value(f"connect({server_name!r}).pid") == before


def test_class_cell_run_again_makes_instruments_of_the_new_class(
    kernel: Kernel, new_name: Callable[[], str]
) -> None:
    kernel.run(f"name = {new_name()!r}")
    kernel.run(BASE_CLASS)
    kernel.run("one = MyInstrument('one', server_name=name)")
    kernel.run(BASE_CLASS.replace("return self.x", "return 100 + self.x"))
    kernel.run("two = MyInstrument('two', server_name=name)")
    kernel.run("one.close(); again = MyInstrument('one', server_name=name)")
    assert kernel.value("[two.x(), again.x()]") == [100, 100]
    assert kernel.value("[isinstance(each, MyInstrument) for each in (two, again)]") == [True, True]


def test_creation_cell_run_again_says_how_to_get_the_instrument(
    kernel: Kernel, new_name: Callable[[], str]
) -> None:
    kernel.run(BASE_CLASS)
    creation = f"one = MyInstrument('one', server_name={new_name()!r})"
    kernel.run(creation)
    with pytest.raises(CellFailed, match=r"KeyError.*Another instrument has the name: one.*find_instrument"):
        kernel.run(creation)
    assert kernel.value("one.x()") == 0


class _SlowCall:
    """A cell in the midst of a call that ends when the test says so."""

    def __init__(self, kernel: Kernel, server_name: str, folder: Path) -> None:
        for name in ("entered", "answer"):
            os.mkfifo(folder / name)
        kernel.run(SLOW_CLASS)
        kernel.run(f"slow = Slow('slow', {str(folder)!r}, server_name={server_name!r})")
        self._answer = folder / "answer"
        self.cell = kernel.begin("print('read', slow.slow())")
        (folder / "entered").read_text()

    def end(self, answer: str) -> None:
        self._answer.write_text(answer)


def test_interrupt_during_a_slow_call_returns_at_once(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    call = _SlowCall(kernel, new_name(), tmp_path)
    kernel.interrupt()
    with pytest.raises(CellFailed) as raised:
        # The driver still waits: the cell can only end because it was interrupted.
        kernel.finish(call.cell)
    call.end("late")
    assert raised.value.name == "KeyboardInterrupt"


def test_status_shows_the_call_that_an_interrupted_cell_left(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    server_name = new_name()
    call = _SlowCall(kernel, server_name, tmp_path)
    kernel.interrupt()
    with pytest.raises(CellFailed):
        kernel.finish(call.cell)
    calls = connect(server_name).status()["calls"]
    call.end("late")
    assert [(each["operation"], each["path"], each["state"]) for each in calls] == [
        ("get", "slow.slow", "running")
    ]
    assert str(kernel.process.pid) in calls[0]["client"]


def test_server_finishes_the_call_that_was_interrupted(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    call = _SlowCall(kernel, new_name(), tmp_path)
    kernel.interrupt()
    with pytest.raises(CellFailed):
        kernel.finish(call.cell)
    call.end("late")
    assert kernel.value("slow.finished.get()") == 1


def test_readings_after_an_interrupt_are_not_off_by_one(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    call = _SlowCall(kernel, new_name(), tmp_path)
    kernel.interrupt()
    with pytest.raises(CellFailed):
        kernel.finish(call.cell)
    call.end("late")
    readings = kernel.value("[slow.parameters[f'p{n}'].get() for n in range(10)] * 2")
    assert readings == [*range(10)] * 2
    cell = kernel.begin("slow.slow()")
    (tmp_path / "entered").read_text()
    call.end("second")
    assert kernel.finish(cell) == "'second'"


def test_interrupt_leaves_server_and_other_instruments_alone(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path
) -> None:
    server_name = new_name()
    kernel.run(BASE_CLASS)
    kernel.run(f"one = MyInstrument('one', server_name={server_name!r}); one.x(5)")
    call = _SlowCall(kernel, server_name, tmp_path)
    kernel.interrupt()
    with pytest.raises(CellFailed):
        kernel.finish(call.cell)
    # The slow instrument is busy still; the other one is not.
    assert kernel.value("one.x()") == 5
    call.end("late")


@pytest.mark.parametrize("is_new", [True, False], ids=["new server", "running server"])
def test_creation_that_was_interrupted_can_be_repeated(
    kernel: Kernel, new_name: Callable[[], str], tmp_path: Path, is_new: bool
) -> None:
    server_name = new_name()
    for name in ("entered", "answer"):
        os.mkfifo(tmp_path / name)
    kernel.run(SLOW_CLASS)
    kernel.run("""
        class Waking(Slow):
            def __init__(self, name, folder, *, wait):
                super().__init__(name, folder)
                self.told = self._measure() if wait else 'nothing'
    """)
    if not is_new:
        kernel.run(f"start_server({server_name!r})")
    make = "find_or_create_instrument(Waking, 'waking', {!r}, wait={}, server_name={!r}).told"
    cell = kernel.begin(make.format(str(tmp_path), True, server_name))
    (tmp_path / "entered").read_text()
    kernel.interrupt()
    with pytest.raises(CellFailed, match="KeyboardInterrupt"):
        kernel.finish(cell)
    if not is_new:
        # The server finishes what it began; one that this cell has started would have gone.
        (tmp_path / "answer").write_text("up")
    again = kernel.run(make.format(str(tmp_path), False, server_name))
    assert again.endswith("'nothing'" if is_new else "'up'")


def test_kernel_has_no_children_that_its_shutdown_would_wait_for(
    kernel: Kernel, new_name: Callable[[], str]
) -> None:
    kernel.run(f"start_server({new_name()!r})")
    children = kernel.process.children(recursive=True)
    group = os.getpgid(kernel.process.pid)
    assert [child.cmdline() for child in children if os.getpgid(child.pid) == group] == []


def test_shut_down_kernel_leaves_no_process_behind(own_kernel: Kernel, new_name: Callable[[], str]) -> None:
    own_kernel.run(BASE_CLASS)
    own_kernel.run(f"server = start_server({new_name()!r}, linger=0.2)")
    own_kernel.run("one = server.create(MyInstrument, 'one')")
    processes = [own_kernel.process, *own_kernel.process.children(recursive=True)]
    assert own_kernel.value("server.pid") in [process.pid for process in processes]
    own_kernel.close()
    assert all(wait_for_exit(process.pid, 10) for process in processes)


def test_server_survives_the_death_of_the_kernels_process_group(
    own_kernel: Kernel, new_name: Callable[[], str]
) -> None:
    server_name, process = new_name(), own_kernel.process
    own_kernel.run(BASE_CLASS)
    own_kernel.run(f"one = MyInstrument('one', server_name={server_name!r}); one.x(8)")
    os.killpg(os.getpgid(process.pid), signal.SIGKILL)
    process.wait(10)
    assert connect(server_name).instruments["one"].x() == 8


def test_what_the_driver_prints_appears_below_the_cell(kernel: Kernel, new_name: Callable[[], str]) -> None:
    kernel.run("""
        import sys
        class Talking(Instrument):
            def __init__(self, name, **kwargs):
                super().__init__(name, **kwargs)
                print('made', name)
                self.connect_message()

            def get_idn(self):
                return dict(vendor='Acme', model='T1', serial='7', firmware='2.0')

            def warn(self):
                print('hot', file=sys.stderr)
                return 'warned'
    """)
    made = kernel.run(f"talking = Talking('talking', server_name={new_name()!r})")
    assert made.startswith("made talking\nConnected to: Acme T1 (serial:7, firmware:2.0) in ")
    assert kernel.run("talking.warn()") == "hot\n'warned'"
    assert kernel.run("talking.connect_message()").startswith("Connected to: Acme T1")


def test_traceback_below_the_cell_goes_on_at_the_server(kernel: Kernel, new_name: Callable[[], str]) -> None:
    kernel.run(BASE_CLASS)
    kernel.run("""
        class Broken(MyInstrument):
            def getx(self):
                return 1 / self.nothing()

            def nothing(self):
                return 0
    """)
    server_name = new_name()
    kernel.run(f"broken = Broken('broken', server_name={server_name!r})")
    with pytest.raises(CellFailed) as raised:
        kernel.run("broken.x()")
    assert raised.value.name == "ZeroDivisionError"
    assert f"Traceback on server {server_name!r}" in raised.value.shown
    assert "in getx" in raised.value.shown


def test_tab_offers_parameters_and_methods_of_a_proxy(kernel: Kernel, new_name: Callable[[], str]) -> None:
    kernel.run(BASE_CLASS)
    kernel.run(f"one = MyInstrument('one', server_name={new_name()!r})")
    offered = kernel.complete("one.")
    assert {"x", "getx", "setx", "snapshot"} <= {name.removeprefix("one.") for name in offered}
    assert [name.removeprefix("one.x.") for name in kernel.complete("one.x.get_l")] == ["get_latest"]


def test_question_mark_shows_the_docstring_of_parameter_and_method(
    kernel: Kernel, new_name: Callable[[], str]
) -> None:
    kernel.run("""
        class Dac(Instrument):
            '''A source of voltages.'''

            def __init__(self, name, **kwargs):
                super().__init__(name, **kwargs)
                self.add_parameter('x', unit='V', get_cmd=None, set_cmd=None, docstring='Where it stands.')

            def ramp(self, target: float, *, rate: float = 1.0) -> None:
                '''Go there slowly.'''
    """)
    kernel.run(f"dac = Dac('dac', server_name={new_name()!r})")
    assert "Where it stands." in kernel.inspect("dac.x")
    assert "Go there slowly." in kernel.inspect("dac.ramp")
    assert "dac.ramp(target" in kernel.inspect("dac.ramp")
    assert "A source of voltages." in kernel.inspect("dac")
