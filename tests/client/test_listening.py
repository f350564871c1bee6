"""What drivers print, log and warn of during a call arrives with its result."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drivers import Chatty, ChattyWarning, Onlooker

from instrumentserver import Server, list_servers, start_server
from instrumentserver.client.listening import log_levels, tell, told_levels

DRIVER: str = "drivers.chatty"


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("home")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made, and give the loggers back their levels; the server of the module goes on."""
    loggers = [logging.getLogger(name) for name in ("", "drivers", DRIVER)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    logging.disable(logging.NOTSET)
    for server in list_servers():
        if server != home:
            server.stop()
    for instrument in home.instruments.values():
        instrument.close()


@pytest.fixture
def chatty(home: Server) -> Chatty:
    return home.create(Chatty, "chatty")


@pytest.fixture
def local() -> Iterator[Chatty]:
    """Yield the same instrument in this process."""
    chatty = Chatty("here")
    yield chatty
    chatty.close()


# Which records are wanted


def test_levels_are_those_that_loggers_were_given() -> None:
    logging.getLogger(DRIVER).setLevel(logging.DEBUG)
    logging.getLogger().setLevel(logging.ERROR)
    levels = log_levels()
    assert (levels[""], levels[DRIVER]) == (logging.ERROR, logging.DEBUG)
    assert "drivers" not in levels
    logging.getLogger(DRIVER).setLevel(logging.NOTSET)
    assert DRIVER not in log_levels()


def test_disabling_logging_raises_all_levels() -> None:
    logging.getLogger(DRIVER).setLevel(logging.DEBUG)
    logging.disable(logging.WARNING)
    levels = log_levels()
    assert all(level > logging.WARNING for level in levels.values())


CHANGES: list[Callable[[], Any]] = [
    lambda: logging.getLogger(DRIVER).setLevel(logging.INFO),
    lambda: logging.getLogger().setLevel(logging.INFO),
    lambda: logging.disable(logging.INFO),
]


@pytest.mark.parametrize("change", CHANGES, ids=["of a logger", "of the root", "of all"])
def test_a_change_of_levels_is_noticed(change: Callable[[], Any]) -> None:
    told_levels["somebody"] = True
    log_levels()
    assert "somebody" in told_levels
    change()
    assert "somebody" not in told_levels


def test_a_change_of_levels_reaches_every_server(
    home: Server, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    other = start_server(new_name(), linger=5)
    instruments = [home.create(Chatty, "one"), other.create(Chatty, "two")]
    logging.getLogger(DRIVER).setLevel(logging.DEBUG)
    for chatty in instruments:
        chatty.log_one(logging.DEBUG, chatty.name)
    assert [record.message for record in caplog.records if record.name == DRIVER] == ["one", "two"]
    other.stop()


LEVELS: dict[str, Callable[[], Any]] = {
    "as they are": lambda: None,
    "all": lambda: logging.getLogger().setLevel(logging.DEBUG),
    "the driver's": lambda: logging.getLogger(DRIVER).setLevel(logging.DEBUG),
    "above the driver's": lambda: logging.getLogger("drivers").setLevel(logging.INFO),
    "not the driver's": lambda: [
        logging.getLogger().setLevel(logging.DEBUG),
        logging.getLogger(DRIVER).setLevel(logging.ERROR),
    ],
    "few": lambda: logging.getLogger().setLevel(logging.CRITICAL),
    "none": lambda: logging.disable(),
    "disabled": lambda: [logging.getLogger().setLevel(logging.DEBUG), logging.disable(logging.INFO)],
}


@pytest.mark.parametrize("levels", LEVELS)
def test_exactly_the_records_arrive_that_would_be_logged_here(
    chatty: Chatty, caplog: pytest.LogCaptureFixture, levels: str
) -> None:
    LEVELS[levels]()
    wanted = []
    for name in (DRIVER, f"{DRIVER}.line", "drivers", "other", "drivers_too"):
        for level in (5, logging.DEBUG, logging.INFO, 25, logging.WARNING, logging.ERROR, logging.CRITICAL):
            chatty.log_one(level, "now", name=name)
            if logging.getLogger(name).isEnabledFor(level):
                wanted.append((name, level, "now"))
    assert [record for record in caplog.record_tuples if record[2] == "now"] == wanted


def test_a_change_of_levels_holds_from_the_next_call_on(
    chatty: Chatty, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        chatty.log_one(logging.DEBUG, "now")
        texts = [record.message for record in caplog.records if record.name == DRIVER]
        caplog.clear()
        return texts

    assert told() == []
    logging.getLogger(DRIVER).setLevel(logging.DEBUG)
    assert told() == told() == ["now"]
    logging.disable(logging.DEBUG)
    assert told() == []
    logging.disable(logging.NOTSET)
    assert told() == ["now"]
    logging.getLogger(DRIVER).setLevel(logging.NOTSET)
    assert told() == []


def test_handlers_decide_as_for_records_of_this_process(chatty: Chatty) -> None:
    class Kept(logging.Handler):
        def __init__(self, level: int) -> None:
            super().__init__(level)
            self.texts: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.texts.append(record.getMessage())

    logger = logging.getLogger(DRIVER)
    logger.setLevel(logging.DEBUG)
    kept, strict = Kept(logging.NOTSET), Kept(logging.ERROR)
    strict.addFilter(lambda record: "not me" not in record.getMessage())
    for handler in (kept, strict):
        logger.addHandler(handler)
    try:
        for level, text in ((10, "low"), (40, "high"), (40, "not me")):
            chatty.log_one(level, text)
    finally:
        for handler in (kept, strict):
            logger.removeHandler(handler)
    assert (kept.texts, strict.texts) == (["low", "high", "not me"], ["high"])


# What records are made of


KEPT = ("name", "levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName", "args")


def described(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: getattr(record, name) for name in KEPT[:-1]}
    return {**found, "text": record.getMessage().replace("here", "chatty")}


def test_records_are_those_that_a_local_instrument_logs(
    chatty: Chatty, local: Chatty, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    acts: list[Callable[[Chatty], Any]] = [
        lambda each: each.log_one(logging.INFO, "%s of %d: %r", "one", 2, {"a": 1}),
        lambda each: each.log_one(25, "between the levels"),
        lambda each: each.log_one(logging.ERROR, "a % sign"),
        lambda each: each.log_as_instrument(logging.DEBUG, "line %s", "A"),
    ]
    seen = []
    for each in (chatty, local):
        caplog.clear()
        for act in acts:
            act(each)
        seen.append([described(record) for record in caplog.records if record.module == "drivers"])
    assert seen[0] == seen[1]
    assert next(record["text"] for record in seen[0]) == "one of 2: {'a': 1}"


def test_times_and_process_are_the_server_s(
    chatty: Chatty, home: Server, caplog: pytest.LogCaptureFixture
) -> None:
    chatty.log_one(logging.WARNING, "now")
    (record,) = [record for record in caplog.records if record.name == DRIVER]
    assert record.process == home.pid
    assert record.threadName == "connection"
    formatted = logging.Formatter("%(asctime)s %(levelname)s %(process)d: %(message)s").format(record)
    assert formatted.endswith(f"WARNING {home.pid}: now")


def test_extras_arrive_as_values_or_as_text(
    chatty: Chatty, local: Chatty, caplog: pytest.LogCaptureFixture
) -> None:
    chatty.log_one(logging.WARNING, "now", extra={"endpoint": 2, "line": "A", "none": None, "volts": 1.5})
    chatty.log_odd()
    plain, odd = [record for record in caplog.records if record.name == DRIVER]
    assert (plain.endpoint, plain.line, plain.none, plain.volts) == (2, "A", None, 1.5)
    assert (type(odd.place), odd.place) == (str, "rack 2")
    assert odd.owner == "<Chatty: chatty>"
    assert float(odd.volts) == 1.5


def test_a_traceback_arrives_as_text(chatty: Chatty, caplog: pytest.LogCaptureFixture) -> None:
    chatty.log_failure()
    (record,) = [record for record in caplog.records if record.module == "drivers"]
    assert (record.levelname, record.getMessage()) == ("ERROR", "[chatty(Chatty)] no reading")
    formatted = logging.Formatter().format(record)
    assert "in log_failure" in formatted
    assert formatted.endswith("ZeroDivisionError: division by zero")


# Warnings


def test_a_warning_has_its_category_text_and_place(chatty: Chatty, local: Chatty) -> None:
    seen = []
    for each in (chatty, local):
        with pytest.warns(ChattyWarning, match="the calibration is old") as caught:
            assert each.warn("the calibration is old") == "went on"
        seen.append([(str(w.message), w.category, w.filename, w.lineno) for w in caught])
    assert seen[0] == seen[1]


def test_a_category_that_is_not_known_here_is_the_nearest_that_is(chatty: Chatty) -> None:
    with pytest.warns(DeprecationWarning, match="unheard"):
        chatty.warn("unheard", "UnheardWarning")


def test_warnings_that_are_errors_here_are_raised(chatty: Chatty) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChattyWarning)
        with pytest.raises(ChattyWarning, match="old"):
            chatty.warn("old")
        warnings.simplefilter("ignore", ChattyWarning)
        assert chatty.warn("old") == "went on"


def numbers_shown(act: Callable[[], Any], action: Any) -> int:
    """Return how many warnings of three calls are shown under a filter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        action()
        for _ in range(3):
            act()
    return len(caught)


FILTERS: dict[str, Callable[[], Any]] = {
    "ignored": lambda: None,
    "always": lambda: warnings.simplefilter("always", ChattyWarning),
    "once for each place": lambda: warnings.simplefilter("default", ChattyWarning),
    "another category": lambda: warnings.simplefilter("always", DeprecationWarning),
    "its text": lambda: warnings.filterwarnings("always", message="old .* filter"),
    "another text": lambda: warnings.filterwarnings("always", message="new .* filter"),
    "its module": lambda: warnings.filterwarnings("always", module="drivers"),
    "another module": lambda: warnings.filterwarnings("always", module="driver$"),
}


@pytest.mark.parametrize("which", FILTERS)
def test_filters_treat_it_as_one_of_this_process(chatty: Chatty, local: Chatty, which: str) -> None:
    shown = [
        numbers_shown(lambda: each.warn(f"old {which} filter"), FILTERS[which])  # noqa: B023  (called at once)
        for each in (chatty, local)
    ]
    assert shown[0] == shown[1]


# Beside results and errors


def test_what_was_told_before_an_error_arrives_with_it(
    chatty: Chatty, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="after smoke"), pytest.warns(ChattyWarning, match="^smoke$"):
        chatty.warn_and_fail("smoke")
    assert capsys.readouterr().out == "smoke\n"
    assert "[chatty(Chatty)] smoke" in caplog.messages


def test_the_driver_s_error_comes_before_a_warning_that_is_an_error_here(chatty: Chatty) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="after smoke"):
            chatty.warn_and_fail("smoke")


def test_what_was_printed_beside_a_result_that_cannot_travel_arrives(
    chatty: Chatty, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="cannot travel"):
        chatty.print_and_return_stranger()
    assert capsys.readouterr().out == "before\n"


@pytest.mark.parametrize("failure", ["", "the hardware does not answer"], ids=["that works", "that fails"])
def test_a_constructor_tells_too(
    home: Server, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    with pytest.warns(ChattyWarning, match="^old firmware$"):
        if failure:
            with pytest.raises(RuntimeError, match=failure):
                home.create(Chatty, "new", warning="old firmware", failure=failure)
        else:
            home.create(Chatty, "new", warning="old firmware")
    assert capsys.readouterr().out == "old firmware\n"
    assert "[new(Chatty)] logged: old firmware" in caplog.messages


def test_prints_arrive_in_order_on_their_streams(chatty: Chatty, capsys: pytest.CaptureFixture[str]) -> None:
    chatty.print_lines(2, 4)
    chatty.print_lines(1, 4, to_error=True)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("000\n001\n", "000\n")


def test_a_process_without_streams_gets_on(chatty: Chatty, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        patched.setattr(sys, "stderr", None)
        assert chatty.print_lines(1, 4) == chatty.print_lines(1, 4, to_error=True) == 4
        tell(False, "out")
        tell(True, "err")


def test_what_an_instrument_of_another_server_tells_arrives_through_both(
    chatty: Chatty,
    new_name: Callable[[], str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = start_server(new_name())
    onlooker = away.create(Onlooker, "onlooker")
    caplog.set_level(logging.DEBUG, DRIVER)
    onlooker.see("chatty.print_lines(1, 5), chatty.log_one(10, 'from afar')", chatty=chatty)
    with pytest.warns(ChattyWarning, match="^far$"):
        onlooker.see("chatty.warn('far')")
    assert capsys.readouterr().out == "0000\n"
    assert [record[1:] for record in caplog.record_tuples if record[0] == DRIVER] == [(10, "from afar")]
    away.stop()
