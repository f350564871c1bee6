"""What drivers log on their servers is in the client's log, as QCoDeS's tools expect it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from extras.rack import Talkative
from measuring.bench import Alike, Bench
from measuring.rack import Source
from qcodes import logger as qcodes_logger
from qcodes.instrument_drivers.Keithley import Keithley2450
from qcodes.instrument_drivers.mock_instruments import DummyInstrument, DummyInstrumentWithMeasurement
from qcodes.logger import (
    LogCapture,
    capture_dataframe,
    console_level,
    filter_instrument,
    get_instrument_logger,
    start_logger,
)
from qcodes.logger.log_analysis import logfile_to_dataframe

pytestmark = pytest.mark.slow


class Record(NamedTuple):
    """What matters of a log record."""

    logger: str
    level: str
    text: str
    instrument_name: str | None
    instrument_type: str | None
    endpoint: int | None
    file: str
    function: str | None
    has_traceback: bool


class _Kept(logging.Handler):
    """Keeps the records of instruments and of their vendors."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []

    def emit(self, record: logging.LogRecord) -> None:
        extra = {
            name: getattr(record, name, None) for name in ("instrument_name", "instrument_type", "endpoint")
        }
        if extra["instrument_name"] or record.name.startswith("vendor"):
            self.records.append(
                Record(
                    logger=record.name,
                    level=record.levelname,
                    text=record.getMessage(),
                    file=Path(record.pathname).name,
                    function=record.funcName,
                    has_traceback=bool(record.exc_text or record.exc_info),
                    **extra,
                )
            )


@pytest.fixture
def kept() -> Iterator[_Kept]:
    """Yield a handler of the root logger, which lets everything pass."""
    root, handler = logging.getLogger(), _Kept()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def logged_alike(alike: Alike, kept: _Kept, act: Callable[[Any], Any]) -> list[Record]:
    """Return what was logged while ``act`` used a talkative instrument, after comparing."""

    def measure(bench: Bench) -> Any:
        talkative = bench.make(Talkative, "talkative")
        kept.records.clear()
        act(talkative)
        return kept.records

    return [*map(Record._make, alike(measure, stores=False))]


def test_records_arrive_as_the_driver_made_them(alike: Alike, kept: _Kept) -> None:
    def act(talkative: Talkative) -> None:
        talkative.value()
        talkative.value(11)
        talkative.channel.level()

    records = logged_alike(alike, kept, act)
    assert [(record.level, record.text, record.instrument_name) for record in records] == [
        ("DEBUG", "[talkative(Talkative)] asking for the value", "talkative"),
        ("INFO", "USB transfer of 64 bytes", None),
        ("WARNING", "[talkative(Talkative)] 11 is much", "talkative"),
        ("INFO", "[talkative(Talkative)] set to 11", "talkative"),
        ("INFO", "[talkative_channel(TalkativeChannel)] reading the level", "talkative_channel"),
    ]
    assert records[1].endpoint == 2
    assert records[4].instrument_type == "TalkativeChannel"


def test_a_logged_traceback_comes_along_with_the_error(alike: Alike, kept: _Kept) -> None:
    def act(talkative: Talkative) -> None:
        with pytest.raises(RuntimeError, match="cannot measure"):
            talkative.fail()

    (record,) = logged_alike(alike, kept, act)
    assert (record.level, record.text) == ("ERROR", "[talkative(Talkative)] the line is dead")
    assert record.has_traceback


def test_what_the_client_logs_in_the_name_of_an_instrument(alike: Alike, kept: _Kept) -> None:
    def act(talkative: Talkative) -> None:
        talkative.log.info("hello")
        talkative.channel.log.warning("hello, too")
        talkative.value()

    names = [record.instrument_name for record in logged_alike(alike, kept, act)]
    assert names == ["talkative", "talkative_channel", "talkative", None]


def test_only_what_the_levels_let_pass_arrives(bench: Bench, kept: _Kept) -> None:
    talkative = bench.make(Talkative, "talkative")
    root, vendor = logging.getLogger(), logging.getLogger("vendor")
    kept.records.clear()
    try:
        root.setLevel(logging.WARNING)
        talkative.value()
        assert kept.records == []
        vendor.setLevel(logging.INFO)
        talkative.value()
        assert [record.text for record in kept.records] == ["USB transfer of 64 bytes"]
        root.setLevel(logging.DEBUG)
        vendor.setLevel(logging.ERROR)
        talkative.value()
        assert [record.level for record in kept.records[1:]] == ["DEBUG"]
    finally:
        vendor.setLevel(logging.NOTSET)


def test_a_filter_for_an_instrument(bench: Bench, kept: _Kept) -> None:
    one, two = bench.make(Talkative, "one"), bench.make(Talkative, "two", server="two")
    kept.records.clear()
    with filter_instrument(one, handler=kept, level=logging.INFO):
        for talkative in (one, two):
            talkative.value(3)
            talkative.value()
            talkative.channel.level()
    assert [record.instrument_name for record in kept.records] == ["one", "one_channel"]
    with filter_instrument([one.channel, two], handler=kept):
        for talkative in (one, two):
            talkative.channel.level()
    assert [record.instrument_name for record in kept.records[2:]] == ["one_channel", "two_channel"]


def test_logs_of_an_instrument_that_reads_another_one(bench: Bench, kept: _Kept) -> None:
    gates = bench.make(DummyInstrument, "gates", gates=["ch1", "ch2"])
    meter = bench.make(DummyInstrumentWithMeasurement, "meter", gates, server="two")
    kept.records.clear()
    meter.v1()
    assert [record.text.partition(" as ")[0] for record in kept.records] == [
        "[meter(DummyInstrumentWithMeasurement)] Getting raw value of parameter: meter_v1"
    ]


def test_visa_messages_of_a_driver(alike: Alike, kept: _Kept) -> None:
    pytest.importorskip("pyvisa_sim")

    def measure(bench: Bench) -> Any:
        meter = bench.make(
            Keithley2450, "meter", address="GPIB::2::INSTR", pyvisa_sim_file="Keithley_2450.yaml"
        )
        kept.records.clear()
        meter.source.function("voltage")
        function = meter.source.function()
        with LogCapture(logging.getLogger("qcodes.instrument.instrument_base.com.visa")) as captured:
            meter.ask("*IDN?")
        return function, kept.records, captured.value

    function, records, captured = alike(measure, stores=False)
    assert function == "voltage"
    sent = [(record.text, record.instrument_name) for record in map(Record._make, records)]
    assert ("[meter(Keithley2450)] Writing: :SOUR:FUNC VOLT", "meter") in sent
    assert ("[meter(Keithley2450)] Querying: :SOUR:FUNC?", "meter") in sent
    assert captured.splitlines()[0].endswith("Querying: *IDN?")


def test_records_in_a_frame(bench: Bench, kept: _Kept) -> None:
    talkative = bench.make(Talkative, "talkative")
    with capture_dataframe(level=logging.INFO) as (handler, frame):
        with filter_instrument(talkative, handler=handler):
            talkative.value(2)
            talkative.log.info("by hand")
        assert frame().message.tolist() == [
            "[talkative(Talkative)] set to 2",
            "[talkative(Talkative)] by hand",
        ]
        assert frame().name.tolist() == ["qcodes.instrument.instrument_base"] * 2


@pytest.mark.usefixtures("kept")
def test_captured_texts(bench: Bench) -> None:
    talkative = bench.make(Talkative, "talkative")
    with LogCapture(logging.getLogger("vendor"), level=logging.INFO) as captured:
        talkative.value()
    assert captured.value == "USB transfer of 64 bytes\n"


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Have QCoDeS log as it does in notebooks, into a folder of this test and onto the console that is yielded."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    monkeypatch.setenv("QCODES_USER_PATH", str(tmp_path))
    console = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", console)
        start_logger()
    yield console
    logging.captureWarnings(False)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
        root.removeHandler(handler)
    root.setLevel(level)
    monkeypatch.setattr(qcodes_logger.logger, "file_handler", None)
    monkeypatch.setattr(qcodes_logger.logger, "console_handler", None)


def test_the_log_file_of_qcodes_and_its_console(bench: Bench, console: io.StringIO) -> None:
    talkative, source = bench.make(Talkative, "talkative"), bench.make(Source, "source")
    with console_level("INFO"), filter_instrument(talkative):
        talkative.value(2)
        get_instrument_logger(source, "mine").info("not shown")
        get_instrument_logger(talkative, "mine").info("shown")
    shown = [line.rpartition("] ")[2] for line in console.getvalue().splitlines()]
    assert shown == ["set to 2", "shown"]
    messages = logfile_to_dataframe().message.str.rstrip().tolist()
    assert "[talkative(Talkative)] set to 2" in messages
    assert [text for text in messages if text.endswith("] not shown")] != []


def test_warnings_of_a_driver_are_warnings_here(bench: Bench) -> None:
    talkative = bench.make(Talkative, "talkative")
    with pytest.warns(UserWarning, match="the calibration is old") as caught:
        talkative.warn()
    assert Path(caught[0].filename).name == "rack.py"
