"""What plain scripts may do: run as they stand, define drivers, end in any way, run side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from instrumentserver import Server, connect, list_servers, start_server
from instrumentserver.transport.exits import wait_for_exit

pytestmark = pytest.mark.slow

_SCRIPT_SECONDS = 40.0

PRELUDE = """
    import os, sys
    from instrumentserver import *
    FOO, BAR = sys.argv[1:3]
"""

DAC_CLASS = """
    class Dac(Instrument):
        def __init__(self, name, **kwargs):
            super().__init__(name, **kwargs)
            self.add_parameter('x', get_cmd=None, set_cmd=None, initial_value=0)
            self.add_parameter('y', get_cmd=None, set_cmd=None, initial_value=0)

        def get_idn(self):
            return {'vendor': 'tests', 'model': 'Dac', 'serial': None, 'firmware': None}
"""


class Scripts:
    """Scripts in a folder of their own, which know two names of servers as ``FOO`` and ``BAR``.

    Attributes:
        folder: Where they are written and run.
        foo: The first server's name.
        bar: The second server's name.
    """

    def __init__(self, folder: Path, foo: str, bar: str) -> None:
        self.folder = folder
        self.foo = foo
        self.bar = bar
        self._running: list[subprocess.Popen[str]] = []

    def write(self, *parts: str, name: str = "script.py") -> Path:
        """Write a script, whose parts may be indented, and return its path."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(textwrap.dedent(part) for part in parts))
        return path

    def start(self, *parts: str, how: tuple[str, ...] = ("script.py",)) -> subprocess.Popen[str]:
        """Start a script in a process group of its own, with pipes to all its streams."""
        if parts:
            self.write(PRELUDE, *parts)
        process = subprocess.Popen(
            [sys.executable, *how, self.foo, self.bar],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def run(self, *parts: str, how: tuple[str, ...] = ("script.py",), given: str = "") -> str:
        """Run a script to its end, and return what it printed; it must not print to stderr nor fail."""
        process = self.start(*parts, how=how)
        printed, complaints = process.communicate(given, timeout=_SCRIPT_SECONDS)
        assert (process.returncode, complaints) == (0, "")
        return printed

    def close(self) -> None:
        """End what still runs."""
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def scripts(tmp_path: Path, new_name: Callable[[], str]) -> Iterator[Scripts]:
    """Return a folder for scripts, with two names for servers that do not run yet."""
    scripts = Scripts(tmp_path, new_name(), new_name())
    yield scripts
    scripts.close()


@pytest.fixture
def foo(scripts: Scripts) -> Server:
    """Return the first server of the scripts, which runs already: they need not start it."""
    return start_server(scripts.foo)


def _gone(*processes: psutil.Process) -> bool:
    """Wait until processes have ended, also if nobody has asked for their exit codes yet; return whether all have."""
    return all(wait_for_exit(process.pid, 20) for process in processes)


def _ended(process: subprocess.Popen[str], answer: str = "") -> int:
    """Give a script its last line and return its exit code."""
    process.communicate(answer, timeout=_SCRIPT_SECONDS)
    return process.returncode


# How a script is run


@pytest.mark.parametrize("how", [("script.py",), ("-m", "script"), ("-m", "package.script")], ids=" ".join)
def test_script_without_main_guard_runs_once(scripts: Scripts, how: tuple[str, ...]) -> None:
    parts = [
        PRELUDE,
        "open('runs', 'a').write('ran\\n')\n",
        DAC_CLASS,
        "print(Dac('dac', server_name=FOO).x())",
    ]
    scripts.write(*parts)
    scripts.write(*parts, name="package/script.py")
    assert scripts.run(how=how) == "0\n"
    assert (scripts.folder / "runs").read_text() == "ran\n"


def test_program_text_on_the_command_line_or_on_standard_input_runs(scripts: Scripts) -> None:
    text = scripts.write(
        PRELUDE, DAC_CLASS, "print(Dac('dac', server_name=FOO).x()); stop_server(FOO)"
    ).read_text()
    assert scripts.run(how=("-c", text)) == "0\n"
    assert scripts.run(how=("-",), given=text) == "0\n"


def test_driver_module_beside_the_script_imports(scripts: Scripts) -> None:
    scripts.write("from instrumentserver import Instrument\n", DAC_CLASS, name="lab_dac.py")
    printed = scripts.run("""
        from lab_dac import Dac
        dac = Dac('dac', server_name=FOO)
        dac.x(4)
        print(dac.x(), isinstance(dac, Dac))
    """)
    assert printed == "4 True\n"


def test_driver_module_in_a_folder_put_on_the_path_later_imports(scripts: Scripts) -> None:
    scripts.write("from instrumentserver import Instrument\n", DAC_CLASS, name="drivers/lab_dac.py")
    printed = scripts.run("""
        start_server(FOO)
        sys.path.append('drivers')
        from lab_dac import Dac
        os.chdir('drivers')
        print(Dac('dac', server_name=FOO).x(), Dac('other', server_name=BAR).x())
    """)
    assert printed == "0 0\n"


def test_working_directory_and_environment_reach_the_server(scripts: Scripts) -> None:
    (scripts.folder / "below").mkdir()
    printed = scripts.run("""
        class Place(Instrument):
            def where(self):
                return os.getcwd(), os.environ.get('LAB')

        first = Place('first', server_name=FOO)
        os.chdir('below')
        os.environ['LAB'] = 'B3'
        second = Place('second', server_name=BAR)
        print(*first.where(), *second.where(), sep='\\n')
    """)
    folder = scripts.folder
    assert printed.splitlines() == [str(folder), "None", str(folder / "below"), "B3"]


def test_script_without_standard_streams_gets_its_server(scripts: Scripts) -> None:
    scripts.write(
        PRELUDE,
        DAC_CLASS,
        "dac = Dac('dac', server_name=FOO); dac.x(2); open('out', 'w').write(str(dac.x()))",
    )
    command = f"exec {sys.executable} script.py {scripts.foo} {scripts.bar} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=scripts.folder, timeout=_SCRIPT_SECONDS).returncode == 0
    assert (scripts.folder / "out").read_text() == "2"
    server = connect(scripts.foo)
    assert "listens at" in server.log()
    assert server.instruments["dac"].x() == 2


def test_script_without_standard_output_does_without_what_drivers_print(
    scripts: Scripts, foo: Server
) -> None:
    scripts.write(
        PRELUDE,
        """
        class Talking(Instrument):
            def say(self):
                print('hello')
                return 3

        open('out', 'w').write(str(Talking('talking', server_name=FOO).say()))
        """,
    )
    command = f"exec {sys.executable} script.py {scripts.foo} {scripts.bar} >&-"
    assert subprocess.run(["sh", "-c", command], cwd=scripts.folder, timeout=_SCRIPT_SECONDS).returncode == 0
    assert (scripts.folder / "out").read_text() == "3"


# What a class that is defined in the script may use


def test_class_uses_imported_modules_helpers_and_constants(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import functools, math, os.path as path
        import numpy as np
        from math import hypot

        TABLE = {'a': [1, 2]}
        WEIGHTS = np.arange(3)

        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)

        def doubled(function):
            @functools.wraps(function)
            def call(*args):
                return 2 * function(*args)
            return call

        @doubled
        def helper(n):
            return factorial(n)

        @functools.lru_cache
        def remembered(n):
            return n + TABLE['a'][1]

        class Driver(Instrument):
            def modules(self):
                return math.floor(hypot(3, 4.1)), path.basename('/a/b'), path.basename(__file__), __name__

            def helpers(self, n=TABLE['a'][1]):
                return helper(3), remembered(n), int(np.sum(WEIGHTS))

        driver = Driver('driver', server_name=FOO)
        print(driver.modules(), driver.helpers())
    """)
    assert printed == "(5, 'b', 'script.py', '__main__') (12, 4, 3)\n"


def test_class_uses_module_level_logger_lock_and_parsed_arguments(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import argparse, logging, threading

        log, lock = logging.getLogger(__name__), threading.Lock()
        args = argparse.ArgumentParser().parse_args([])
        args.rate = 3

        class Driver(Instrument):
            def rate(self):
                with lock:
                    log.info('asked for the rate')
                return args.rate

        print(Driver('driver', server_name=FOO).rate())
    """)
    assert printed == "3\n"
    assert "INFO" in foo.log()
    assert "__main__: asked for the rate" in foo.log()


def test_class_uses_a_reentrant_lock_of_the_script(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import threading

        lock = threading.RLock()

        class Driver(Instrument):
            def is_open(self):
                return lock.acquire(timeout=1)

        print(Driver('driver', server_name=FOO).is_open())
    """)
    assert printed == "True\n"


def test_class_uses_a_remote_instrument_of_the_script(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run(
        DAC_CLASS,
        """
        dac = Dac('dac', server_name=BAR)

        class Driver(Instrument):
            def twice(self):
                return 2 * dac.x()

        driver = Driver('driver', server_name=FOO)
        dac.x(21)
        print(driver.twice())
        """,
    )
    assert printed == "42\n"


def test_class_defined_in_a_function_travels_and_its_instruments_are_known_by_it(
    scripts: Scripts, foo: Server
) -> None:
    printed = scripts.run("""
        def main():
            offset = 4

            class Dac(Instrument):
                def answer(self):
                    return offset + len(Dac.__name__)

            class Better(Dac):
                pass

            better = Better('better', server_name=FOO)
            print(better.answer(), isinstance(better, Better), isinstance(better, Dac))

        main()
    """)
    assert printed == "7 True True\n"


def test_class_uses_an_enum_of_the_script(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import enum

        class Mode(enum.Enum):
            FAST = 1
            SLOW = 2
            QUICK = 1

            def other(self):
                return Mode.SLOW if self is Mode.FAST else Mode.FAST

        class Driver(Instrument):
            def __init__(self, name, mode=Mode.SLOW, **kwargs):
                super().__init__(name, **kwargs)
                self.add_parameter('mode', get_cmd=None, set_cmd=None, initial_value=mode)

            def is_fast(self):
                return self.mode() is Mode.FAST

            def other(self):
                return self.mode().other()

        driver = Driver('driver', server_name=FOO)
        print(driver.mode() is Mode.SLOW, driver.is_fast())
        driver.mode(Mode.QUICK)
        print(driver.mode() is Mode.FAST, driver.is_fast(), driver.other() is Mode.SLOW)
    """)
    assert printed == "True False\nTrue True True\n"


def test_enum_of_the_script_is_found_by_the_name_of_an_alias(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import enum

        class Mode(enum.Enum):
            FAST = 1
            QUICK = 1

        class Driver(Instrument):
            def mode(self, name):
                return Mode[name]

        print(Driver('driver', server_name=FOO).mode('QUICK') is Mode.FAST)
    """)
    assert printed == "True\n"


def test_class_uses_a_new_type_of_the_script(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        from typing import NewType

        Volts = NewType('Volts', float)

        class Driver(Instrument):
            def twice(self, value: Volts) -> Volts:
                return Volts(2 * value)

        print(Driver('driver', server_name=FOO).twice(3.0))
    """)
    assert printed == "6.0\n"


def test_exception_class_of_the_script_arrives_as_that_class(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        class Overload(Exception):
            def __init__(self, current, gate):
                super().__init__(f'{current} A at {gate}')
                self.current = current

        class Driver(Instrument):
            def fail(self):
                raise Overload(3.0, 'gate')

        try:
            Driver('driver', server_name=FOO).fail()
        except Overload as error:
            print(type(error) is Overload, error, error.current)
    """)
    assert printed == "True 3.0 A at gate 3.0\n"


def test_class_uses_base_classes_of_the_script_super_and_its_own_name(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import abc

        class Base(Instrument):
            def __init__(self, name, **kwargs):
                super().__init__(name, **kwargs)
                self.steps = ['base']

        class Mixed(abc.ABC):
            @abc.abstractmethod
            def answer(self):
                pass

        class Middle(Mixed, Base):
            def __init__(self, name, **kwargs):
                super(Middle, self).__init__(name, **kwargs)
                self.steps.append('middle')

            def answer(self):
                return ['middle']

        class Driver(Middle):
            made = 0

            def __init__(self, name, **kwargs):
                super().__init__(name, **kwargs)
                self.steps.append('driver')
                Driver.made += 1

            def answer(self):
                own = [type(self) is Driver, isinstance(self, Base), Driver.made]
                return super(Driver, self).answer() + super().answer() + own

        first = Driver('first', server_name=FOO)
        second = Driver('second', server_name=FOO)
        print(first.steps, first.answer())
        print(isinstance(first, Driver), isinstance(first, Mixed), isinstance(first, Base), Driver.made)
    """)
    assert printed.splitlines() == [
        "['base', 'middle', 'driver'] ['middle', 'middle', True, True, 2]",
        "True True True 0",
    ]


def test_classes_of_the_script_that_name_each_other_travel(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        class Source(Instrument):
            def partner(self):
                return Drain.__name__, issubclass(Drain, Instrument)

        class Drain(Instrument):
            def partner(self):
                return Source.__name__, isinstance(self, Source)

        print(Source('source', server_name=FOO).partner())
        print(Drain('drain', server_name=FOO).partner())
    """)
    assert printed == "('Drain', True)\n('Source', False)\n"


def test_class_uses_dataclass_named_tuple_and_annotations_of_the_script(
    scripts: Scripts, foo: Server
) -> None:
    printed = scripts.run("""
        from collections.abc import Callable
        from dataclasses import asdict, dataclass, field
        from typing import Any, Generic, NamedTuple, Optional, TypeVar

        T = TypeVar('T')

        @dataclass
        class Settings:
            rate: float = 3.0
            gates: list[str] = field(default_factory=list)

        class Point(NamedTuple):
            x: int
            y: int = 2

            def total(self) -> int:
                return self.x + self.y

        class Box(Generic[T]):
            def __init__(self, content: T) -> None:
                self.content = content

        class Numbers(Box[int]):
            pass

        class Driver(Instrument):
            settings: Settings

            def __init__(self, name: str, *, settings: Optional[Settings] = None, **kwargs: Any) -> None:
                super().__init__(name, **kwargs)
                self._settings = settings or Settings()

            def answer(self, box: Box[T] | None = None, call: Callable[[T], None] | None = None) -> list[Any]:
                return [asdict(self._settings), Point(3).total(), Numbers(4).content, Settings(1) == Settings(1)]

        print(Driver('driver', server_name=FOO).answer())
    """)
    assert printed == "[{'rate': 3.0, 'gates': []}, 5, 4, True]\n"


def test_class_uses_channel_parameter_and_validator_classes_of_the_script(
    scripts: Scripts, foo: Server
) -> None:
    printed = scripts.run("""
        from qcodes.instrument import InstrumentChannel
        from qcodes.parameters import Parameter
        from qcodes.validators import Validator

        class Even(Validator[int]):
            def validate(self, value, context=''):
                if value % 2:
                    raise ValueError(f'{value} is odd')

        class Quiet(Validator):
            def validate(self, value, context=''):
                pass

        class Volts(Parameter):
            def get_raw(self):
                return 10 * self.instrument.v

            def set_raw(self, value):
                self.instrument.v = value

        class Gate(InstrumentChannel):
            def __init__(self, parent, name):
                super().__init__(parent, name)
                self.v = 1
                self.add_parameter('volts', parameter_class=Volts, vals=Even())
                self.add_parameter('label', get_cmd=None, set_cmd=None, vals=Quiet())

        class Driver(Instrument):
            def __init__(self, name, **kwargs):
                super().__init__(name, **kwargs)
                self.add_submodule('gate', Gate(self, 'gate'))

        gate = Driver('driver', server_name=FOO).gate
        gate.volts(2)
        print(gate.volts(), isinstance(gate, Gate), isinstance(gate.volts, Volts))
        try:
            gate.volts(3)
        except ValueError as error:
            print(error.args[0])
    """)
    assert printed == "20 True True\n3 is odd\n"


def test_class_that_uses_what_cannot_travel_is_refused_by_name(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import sqlite3

        database = sqlite3.connect(':memory:')

        class Driver(Instrument):
            def read(self):
                return database.execute('select 1')

        try:
            Driver('driver', server_name=FOO)
        except NotPortable as error:
            print(error)
    """)
    assert "class Driver cannot travel" in printed
    assert "sqlite3.Connection" in printed
    assert list(foo.instruments) == []


def test_one_class_on_two_servers_makes_separate_instruments(scripts: Scripts) -> None:
    printed = scripts.run(
        DAC_CLASS,
        """
        class Heater(Instrument):
            def pid(self):
                return os.getpid()

        one, two = Dac('one', server_name=FOO), Dac('two', server_name=BAR)
        one.x(1), two.x(2)
        three = Dac('three', server_name=FOO)
        heaters = [Heater('h1', server_name=FOO), Heater('h2', server_name=BAR)]
        print(one.x(), two.x(), three.x(), len({os.getpid(), *(heater.pid() for heater in heaters)}))
        """,
    )
    assert printed == "1 2 0 3\n"


# How a script ends


@pytest.mark.parametrize(
    ("end", "code"),
    [("", 0), ("raise ValueError('enough')", 1), ("sys.exit(4)", 4), ("os._exit(5)", 5)],
    ids=["normally", "by an exception", "by sys.exit", "by os._exit"],
)
def test_instruments_outlive_the_script_for_the_next_one(scripts: Scripts, end: str, code: int) -> None:
    first = scripts.start(DAC_CLASS, f"dac = Dac('dac', server_name=FOO); dac.x(6)\n{end}\n")
    assert _ended(first) == code
    printed = scripts.run(DAC_CLASS, "print(find_or_create_instrument(Dac, 'dac', server_name=FOO).x())")
    assert printed.splitlines()[-1] == "6"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signal_to_the_scripts_process_group_does_not_reach_the_server(
    scripts: Scripts, number: signal.Signals
) -> None:
    script = scripts.start(
        DAC_CLASS, "dac = Dac('dac', server_name=FOO); dac.x(7); print('ready', flush=True); input()"
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "ready\n"
    os.killpg(script.pid, number)
    assert _ended(script) == -number
    assert connect(scripts.foo).instruments["dac"].x() == 7


def test_script_leaves_no_helper_process_behind(scripts: Scripts) -> None:
    script = scripts.start("start_server(FOO); print('ready', flush=True); input()")
    assert script.stdout is not None
    assert script.stdout.readline() == "ready\n"
    server = connect(scripts.foo).pid
    helpers = [each for each in psutil.Process(script.pid).children(recursive=True) if each.pid != server]
    assert _ended(script, "\n") == 0
    assert _gone(*helpers)
    assert connect(scripts.foo).pid == server


def test_server_with_linger_zero_goes_with_its_last_client(scripts: Scripts) -> None:
    text = "server = start_server(FOO, linger=0); print(server.pid, flush=True); input(); print(server.status()['pid'])"
    first, second = scripts.start(text), scripts.start(text)
    assert first.stdout is not None
    assert second.stdout is not None
    pid = int(first.stdout.readline())
    assert int(second.stdout.readline()) == pid
    server = psutil.Process(pid)
    assert _ended(first, "\n") == 0
    assert second.communicate("\n", timeout=_SCRIPT_SECONDS)[0] == f"{pid}\n"
    assert _gone(server)


def test_server_with_linger_none_stays_until_it_is_stopped(scripts: Scripts) -> None:
    script = scripts.start(
        DAC_CLASS,
        """
        start_server(FOO, linger=None)
        Dac('dac', server_name=FOO).x(3)
        print(start_server(BAR, linger=0.2).pid, flush=True)
        input()
        """,
    )
    assert script.stdout is not None
    brief = psutil.Process(int(script.stdout.readline()))
    assert _ended(script, "\n") == 0
    # Both lost their only client at the same moment; when the one has gone, the other's time would be over too.
    assert _gone(brief)
    server = connect(scripts.foo)
    assert server.instruments["dac"].x() == 3
    server.stop()
    assert [each.name for each in list_servers()] == []


# Scripts side by side


def test_scripts_that_create_the_same_at_the_same_time_share_one(scripts: Scripts) -> None:
    text = """
        class Counted(Instrument):
            def __init__(self, name, file, **kwargs):
                super().__init__(name, **kwargs)
                with open(file, 'a') as made:
                    made.write('made\\n')
                self.add_parameter('x', get_cmd=None, set_cmd=None, initial_value=os.getpid())

        for line in sys.stdin:
            name = line.strip()
            one = find_or_create_instrument(Counted, name, os.path.abspath(name), server_name=name)
            print('pids', connect(name).pid, one.x(), flush=True)
    """
    both = scripts.start(text), scripts.start(text)
    for number in range(5):
        name = f"{scripts.foo}_{number}"
        for script in both:
            assert script.stdin is not None
            script.stdin.write(f"{name}\n")
            script.stdin.flush()
        told = {_line(script, "pids") for script in both}
        pid = connect(name).pid
        assert told == {f"pids {pid} {pid}\n"}
        assert (scripts.folder / name).read_text() == "made\n"
        assert list(connect(name).instruments) == [name]


def _line(script: subprocess.Popen[str], start: str) -> str:
    """Return the next line of a script that begins so."""
    assert script.stdout is not None
    return next(line for line in script.stdout if line.startswith(start))


# Scripts that start processes themselves


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)"])
def test_forked_child_and_parent_use_one_proxy_side_by_side(scripts: Scripts, end: str) -> None:
    printed = scripts.run(
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n",
        DAC_CLASS,
        f"""
        dac = Dac('dac', server_name=FOO)
        dac.x(1), dac.y(2)
        child = os.fork()
        if not child:
            wrong = [value for value in (dac.x() for _ in range(500)) if value != 1]
            assert not wrong
            {end}
        print({{dac.y() for _ in range(500)}}, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        dac.x(5)
        print(dac.x(), len({{client['pid'] for client in connect(FOO).status()['clients']}}))
        """,
    )
    assert printed == "{2} 0\n5 1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_child_does_not_close_the_instruments_of_its_parent(scripts: Scripts) -> None:
    printed = scripts.run(
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n",
        """
        class Noted(Instrument):
            def get_idn(self):
                return {}

            def close(self):
                with open(self.name, 'a') as closed:
                    closed.write('closed\\n')
                super().close()

        here, there = Noted('here'), Noted('there', server_name=FOO)
        child = os.fork()
        if not child:
            sys.exit(0)
        os.waitpid(child, 0)
        print(os.path.exists('here'), os.path.exists('there'), there.snapshot()['name'])
        """,
    )
    assert printed == "False False there\n"
    assert (scripts.folder / "here").read_text() == "closed\n"
    assert not (scripts.folder / "there").exists()


def test_instrument_that_makes_instruments_on_another_server(scripts: Scripts) -> None:
    printed = scripts.run(
        DAC_CLASS,
        """
        class Rack(Instrument):
            def __init__(self, name, server_of_dac):
                super().__init__(name)
                self.dac = Dac('dac', server_name=server_of_dac)
                self.dac.x(3)

            def get_dac(self):
                return self.dac

        dac = Rack('rack', BAR, server_name=FOO).get_dac()
        print(dac.x(), isinstance(dac, Dac), find_instrument('dac') is dac, list(connect(BAR).instruments))
        """,
    )
    assert printed == "3 True True ['dac']\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_process_that_a_driver_forks_obeys_terminate(scripts: Scripts, foo: Server) -> None:
    printed = scripts.run("""
        import multiprocessing, threading

        class Driver(Instrument):
            def fork_and_terminate(self):
                process = multiprocessing.get_context('fork').Process(target=threading.Event().wait)
                process.start()
                process.terminate()
                process.join(10)
                code = process.exitcode
                process.kill()
                return code

        print(Driver('driver', server_name=FOO).fork_and_terminate())
    """)
    assert printed == f"{-signal.SIGTERM}\n"


@pytest.mark.parametrize("library", ["multiprocessing", "multiprocess"])
def test_script_may_use_multiprocessing_beside_servers(scripts: Scripts, library: str) -> None:
    printed = scripts.run(
        f"import {library} as library, warnings; warnings.simplefilter('ignore', DeprecationWarning)\n",
        DAC_CLASS,
        """
        def work(queue, dac, number):
            queue.put(number + dac.x())

        if __name__ == '__main__':
            dac = Dac('dac', server_name=FOO)
            dac.x(10)
            for number, method in enumerate(sorted(library.get_all_start_methods())):
                context = library.get_context(method)
                queue = context.Queue()
                process = context.Process(target=work, args=(queue, dac, number))
                process.start()
                print(method, queue.get(), flush=True)
                process.join()
                print(process.exitcode, library.active_children())
            print(Dac('other', server_name=BAR).x())
        """,
    )
    assert printed.splitlines() == ["fork 10", "0 []", "forkserver 11", "0 []", "spawn 12", "0 []", "0"]
