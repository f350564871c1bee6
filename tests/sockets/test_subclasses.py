"""Sockets that users derive from ours, or run in their own way."""

from __future__ import annotations

import socketserver
import threading

import pytest
from sockets.scripts import ask

from instrumentserver.sockets import (
    DATA,
    UNKNOWN_COMMAND,
    CommonDataPullSocket,
    DataPullSocket,
    PullUDPHandler,
)


def test_subclass_has_a_life_of_its_own() -> None:
    class Counting(DataPullSocket):
        def __init__(self, *arguments: object, **options: object) -> None:
            self.runs = 0
            super().__init__(*arguments, **options)
            self.name = "counting"
            self.kind = self.handler = self.entry = "mine"

        def set_point(self, codename: str, point: tuple, timestamp: float | None = None) -> None:
            super().set_point(codename, (point[0], 2 * point[1]), timestamp)

        def run(self) -> None:
            self.runs += 1
            super().run()

        def stop(self) -> None:
            super().stop()
            self.kind = "stopped"

    counting = Counting("laser", ["a"], 0)
    counting.start()
    counting.set_point("a", (1, 2))
    assert ask(counting.port, "a#raw") == "1,4"
    assert ask(counting.port, "name") == "laser"
    counting.stop()
    assert (counting.runs, counting.kind) == (1, "stopped")


def test_subclass_may_keep_its_points_in_data() -> None:
    class Own(CommonDataPullSocket):
        def __init__(self, name: str, codenames: list[str]) -> None:
            super().__init__(
                name,
                codenames,
                0,
                0.0,
                0.0,
                None,
                check_activity=False,
                activity_timeout=1,
                init_timeouts=False,
            )

        def set_point(self, codename: str, point: object) -> None:
            DATA[self.port]["data"][codename] = point

    own = Own("laser", ["a", "b"])
    own.start()
    own.set_point("a", (1, 2))
    own.set_point("b", (3, 4))
    assert ask(own.port, "json") == "[[1, 2], [3, 4]]"
    own.stop()


def test_handler_of_socketserver_is_refused_with_the_remedy() -> None:
    class Handler(PullUDPHandler):
        def handle(self) -> None:
            raise AssertionError

    class Own(CommonDataPullSocket):
        def set_point(self, codename: str, point: object) -> None:
            raise AssertionError

    for handler in (Handler, socketserver.BaseRequestHandler, object):
        with pytest.raises(ValueError, match="override reply"):
            Own("laser", ["a"], 0, 0, 0, None, False, 1, handler_class=handler)
    assert DATA == {}


def test_loop_of_ones_own_may_answer() -> None:
    class Stepwise(DataPullSocket):
        goes_on = True

        def run(self) -> None:
            self.server.timeout = 10
            while self.goes_on:
                self.server.handle_request()

    stepwise = Stepwise("laser", ["a"], 0)
    stepwise.start()
    assert ask(stepwise.port, "name") == "laser"
    assert ask(stepwise.port, "a#foo") == UNKNOWN_COMMAND
    counted = stepwise.statistics
    assert (counted.received, counted.refused) == (2, 1)
    stepwise.goes_on = False
    stepwise.stop()
    assert not stepwise.is_alive()


def test_run_may_be_called_in_a_thread_of_ones_own() -> None:
    pull = DataPullSocket("laser", ["a"], 0)
    thread = threading.Thread(target=pull.run)
    thread.start()
    assert ask(pull.port, "name") == "laser"
    pull.stop()
    thread.join(10)
    assert not thread.is_alive()
    DataPullSocket("laser", ["a"], pull.port).stop()
