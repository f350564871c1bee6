"""The loggers of remote instruments, here and on their server, are one to QCoDeS's tools."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from drivers import Chatty
from qcodes.logger import filter_instrument, get_instrument_logger
from qcodes.logger.instrument_logger import InstrumentFilter, InstrumentLoggerAdapter

from instrumentserver import Server, list_servers, start_server
from instrumentserver.client.logger import RemoteLogger


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("home")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made; the server of the module goes on."""
    yield
    for server in list_servers():
        if server != home:
            server.stop()
    for instrument in home.instruments.values():
        instrument.close()


@pytest.fixture
def chatty(home: Server) -> Chatty:
    return home.create(Chatty, "chatty")


@pytest.fixture
def both(chatty: Chatty) -> Iterator[list[Chatty]]:
    """Yield the remote instrument and the same one in this process."""
    local = Chatty("here")
    yield [chatty, local]
    local.close()


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of an instrument."""
        if hasattr(record, "instrument_name"):
            self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Yield a handler of the root logger, which lets everything pass."""
    root, handler = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def described(record: Any) -> tuple[Any, ...]:
    name, text = (
        record.instrument_name.replace("here", "chatty"),
        record.getMessage().replace("here", "chatty"),
    )
    return record.name.replace("here", "chatty"), record.levelname, text, name, record.instrument_type


def test_records_are_named_alike_on_both_sides(both: list[Chatty], kept: Kept) -> None:
    seen = []
    for each in both:
        kept.records.clear()
        each.log_as_instrument(logging.INFO, "from the driver: %s", 1)
        each.log.info("by hand: %s", 1)
        each.channel.log.warning("by hand")
        seen.append([described(record) for record in kept.records])
    assert seen[0] == seen[1]
    assert [(text, name, kind) for _, _, text, name, kind in seen[0]] == [
        ("[chatty(Chatty)] from the driver: 1", "chatty", "Chatty"),
        ("[chatty_channel(InstrumentChannel)] from the driver: 1", "chatty_channel", "InstrumentChannel"),
        ("[chatty(Chatty)] by hand: 1", "chatty", "Chatty"),
        ("[chatty_channel(InstrumentChannel)] by hand", "chatty_channel", "InstrumentChannel"),
    ]


def test_each_record_is_logged_once(chatty: Chatty, kept: Kept) -> None:
    for _ in range(3):
        chatty.log_as_instrument(logging.INFO, "once")
    assert len(kept.records) == 6


def test_a_user_s_extras_are_kept(both: list[Chatty], kept: Kept) -> None:
    for each in both:
        kept.records.clear()
        each.log.info("one", extra={"endpoint": 2})
        each.log.info("two")
        assert kept.records[0].endpoint == 2
        assert not hasattr(kept.records[1], "endpoint")


def test_a_logged_exception_of_this_process_has_its_traceback(both: list[Chatty], kept: Kept) -> None:
    for each in both:
        kept.records.clear()
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            each.log.exception("no reading")
        assert kept.records[0].exc_info[0] is ZeroDivisionError
        assert (kept.records[0].funcName, kept.records[0].filename) == (
            "test_a_logged_exception_of_this_process_has_its_traceback",
            "test_logger.py",
        )


def test_it_is_a_logger_adapter_with_a_level(both: list[Chatty], kept: Kept) -> None:
    for each in both:
        assert isinstance(each.log, InstrumentLoggerAdapter)
        assert each.log is each.log
        assert each.log.logger.name == both[1].log.logger.name
        assert each.log.isEnabledFor(logging.DEBUG)
    assert type(both[0].log) is RemoteLogger
    logging.getLogger().setLevel(logging.ERROR)
    for each in both:
        assert not each.log.isEnabledFor(logging.WARNING)
        assert each.log.getEffectiveLevel() == logging.ERROR


def test_the_filter_of_qcodes_takes_records_of_both_sides(chatty: Chatty, kept: Kept, home: Server) -> None:
    other = home.create(Chatty, "other")
    kept.records.clear()
    with filter_instrument(chatty, handler=kept):
        for each in (chatty, other):
            each.log_as_instrument(logging.INFO, "driver")
            each.log.info("here")
    assert [record.instrument_name for record in kept.records] == ["chatty", "chatty_channel", "chatty"]
    kept.records.clear()
    with filter_instrument([other.channel], handler=kept):
        chatty.log_as_instrument(logging.INFO, "driver")
        other.log_as_instrument(logging.INFO, "driver")
    assert [record.instrument_name for record in kept.records] == ["other_channel"]
    assert InstrumentFilter(chatty).instrument_set == {"chatty"}


def test_a_logger_of_a_user_s_own_for_a_proxy(both: list[Chatty], kept: Kept) -> None:
    for each in both:
        kept.records.clear()
        get_instrument_logger(each, "mine").info("mine")
        (record,) = kept.records
        assert record.instrument_name == each.full_name
        with filter_instrument(each, handler=kept):
            get_instrument_logger(each, "mine").info("mine")
        assert len(kept.records) == 2


def test_making_a_proxy_logs_nothing_here(home: Server, kept: Kept) -> None:
    home.create(Chatty, "new")
    made_here = [record for record in kept.records if record.process != home.pid]
    assert made_here == []
