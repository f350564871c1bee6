"""Which records of drivers a server forwards to whom, and what stays in its log file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from drivers import Chatty, ChattyWarning, Onlooker

from instrumentserver import Server, start_server
from instrumentserver.client import session as client_session
from instrumentserver.server.forwarding import CallLog, LogLevels
from instrumentserver.server.output import collect_printed

DRIVER = "drivers.chatty"


@pytest.fixture(autouse=True)
def levels_as_before() -> Iterator[None]:
    """Give the loggers of this process back their levels."""
    loggers = [logging.getLogger(name) for name in ("", "drivers", DRIVER)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Return the list of what servers tell this process beside results."""
    kept: list[list[Any]] = []
    monkeypatch.setattr(client_session, "tell", lambda kind, content: kept.append([kind, content]))
    return kept


@pytest.fixture
def chatty(server: Server) -> Chatty:
    return server.create(Chatty, "chatty")


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does within 5 s."""
    pause, give_up = Event(), time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        pause.wait(0.002)
    return condition()


# What is forwarded


@pytest.mark.parametrize(
    ("level", "forwarded"),
    [(logging.DEBUG, [10, 20, 30, 40]), (logging.WARNING, [30, 40]), (logging.ERROR, [40]), (50, [])],
)
def test_nothing_below_the_client_s_level_is_forwarded(
    chatty: Chatty, told: list[list[Any]], level: int, forwarded: list[int]
) -> None:
    logging.getLogger(DRIVER).setLevel(level)
    for emitted in (10, 20, 30, 40):
        chatty.log_one(emitted, "now")
    assert [(kind, content["levelno"]) for kind, content in told] == [("log", each) for each in forwarded]


def test_a_logger_without_a_level_follows_the_one_above(chatty: Chatty, told: list[list[Any]]) -> None:
    logging.getLogger("drivers").setLevel(logging.INFO)
    logging.getLogger(DRIVER).setLevel(logging.ERROR)
    for name in ("drivers", "drivers.other", DRIVER, f"{DRIVER}.line", "driversx"):
        chatty.log_one(logging.INFO, "now", name=name)
    assert [content["name"] for _, content in told] == ["drivers", "drivers.other"]


def test_levels_of_other_clients_do_not_matter(
    chatty: Chatty, told: list[list[Any]], new_name: Callable[[], str]
) -> None:
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    onlooker.do("logging.getLogger('drivers.chatty').setLevel(10)")
    onlooker.see("chatty.log_one(10, 'theirs')", chatty=chatty)
    assert chatty.level_of(DRIVER) == 10
    chatty.log_one(logging.DEBUG, "mine")
    assert told == []
    chatty.log_one(logging.WARNING, "mine")
    assert [content["msg"] for _, content in told] == ["mine"]


def test_levels_are_forgotten_when_the_client_ends(chatty: Chatty, new_name: Callable[[], str]) -> None:
    away = start_server(new_name())
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.do("logging.getLogger('drivers.chatty').setLevel(10)")
    onlooker.see("chatty.log_one(10, 'theirs')", chatty=chatty)
    assert chatty.level_of(DRIVER) == 10
    away.kill()
    assert soon(lambda: chatty.level_of(DRIVER) == logging.NOTSET)
    assert chatty.level_of("") <= logging.INFO


def test_only_records_of_the_call_are_forwarded(
    server: Server, chatty: Chatty, told: list[list[Any]], new_name: Callable[[], str]
) -> None:
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    onlooker.see("chatty.log_one(40, 'theirs')", chatty=chatty)
    # What the call of theirs told came through their server to us, who had asked for it.
    assert [content["msg"] for _, content in told] == ["theirs"]
    told.clear()
    chatty.log_one(logging.ERROR, "mine")
    assert [content["msg"] for _, content in told] == ["mine"]


def test_the_server_s_own_records_stay_there(server: Server, told: list[list[Any]]) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("instrumentserver").setLevel(logging.DEBUG)
    try:
        server.create(Chatty, "chatty").close()
    finally:
        logging.getLogger("instrumentserver").setLevel(logging.NOTSET)
    names = {content["name"].partition(".")[0] for kind, content in told if kind == "log"}
    assert "instrumentserver" not in names
    assert "drivers:Chatty chatty made" in server.log()


# What must not fail


def test_extras_that_cannot_travel_do_not_fail_the_call(chatty: Chatty, told: list[list[Any]]) -> None:
    chatty.log_odd()
    ((_, content),) = told
    assert (content["place"], content["owner"]) == ("rack 2", "<Chatty: chatty>")


def test_a_record_that_cannot_be_formatted_does_not_fail_the_call(
    chatty: Chatty, told: list[list[Any]], server: Server
) -> None:
    chatty.log_one(logging.WARNING, "%d volts", "many")
    chatty.log_one(logging.WARNING, "after")
    assert told[-1][1]["msg"] == "after"
    assert "Logging error" in server.log(200)


def test_records_with_any_text_arrive(chatty: Chatty, told: list[list[Any]]) -> None:
    texts = ["", "\n", "grüße", "\ud800", "100 %", "%s", "x" * 100_000]
    for text in texts:
        chatty.log_one(logging.WARNING, text)
    assert [content["msg"] for _, content in told] == texts


def test_a_flood_of_records_is_cut_with_a_notice(chatty: Chatty, told: list[list[Any]]) -> None:
    for _ in range(2):
        told.clear()
        chatty.log_one(logging.WARNING, "x" * 300_000)
        assert [kind for kind, _ in told] == [True]
        assert "more lines" in told[0][1]
    told.clear()
    chatty.log_one(logging.WARNING, "short")
    assert [content["msg"] for _, content in told] == ["short"]


# The log file


def test_the_log_file_stays_at_info(server: Server, chatty: Chatty, told: list[list[Any]]) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    chatty.log_one(logging.DEBUG, "for me alone")
    chatty.log_one(logging.INFO, "for both")
    logging.getLogger().setLevel(logging.CRITICAL)
    chatty.log_one(logging.INFO, "for the file alone")
    assert [content["msg"] for _, content in told if content["name"] == DRIVER] == [
        "for me alone",
        "for both",
    ]
    log = server.log(20)
    assert f"INFO {server.pid} {DRIVER}: for both" in log
    assert f"INFO {server.pid} {DRIVER}: for the file alone" in log
    assert "for me alone" not in log


def test_a_warning_is_in_the_log_file_once_for_each_place(server: Server, chatty: Chatty) -> None:
    for text in ("old filter", "old filter", "old line", "old filter"):
        with pytest.warns(ChattyWarning, match=text):
            chatty.warn(text)
    log = server.log(30)
    assert (log.count("ChattyWarning: old filter"), log.count("ChattyWarning: old line")) == (1, 1)


# The two halves by themselves


def test_a_logger_lets_pass_what_any_client_wants_and_gets_its_level_back() -> None:
    logger = logging.getLogger(DRIVER)
    logger.setLevel(logging.ERROR)
    levels = LogLevels()
    levels.set("one", {"": logging.WARNING, DRIVER: logging.WARNING})
    levels.set("two", {"": logging.WARNING, DRIVER: logging.DEBUG})
    assert logger.level == logging.DEBUG
    levels.set("two", {"": logging.CRITICAL})
    assert logger.level == logging.WARNING
    levels.drop("one")
    assert logger.level == logging.ERROR
    levels.drop("two")
    levels.drop("nobody")
    assert logger.level == logging.ERROR


def test_a_thread_that_works_for_nobody_forwards_nothing() -> None:
    kept = collect_printed()
    record = logging.makeLogRecord({"name": DRIVER, "levelno": 40, "levelname": "ERROR", "msg": "now"})
    levels = LogLevels()
    levels.work_for("nobody")
    CallLog().emit(record)
    assert kept.take() is None
    levels.set("one", {"": logging.WARNING})
    levels.work_for("one")
    CallLog().emit(record)
    assert [content["msg"] for _, content in kept.take() or []] == ["now"]
    levels.drop("one")
