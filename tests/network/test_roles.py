"""What a viewer, an operator and an admin may do over a network, and how they may try to do more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from afar import Afar
from drivers import Plain

from instruments import Dac
from instrumentserver import NotPortable, Server, UsageError
from instrumentserver.client.introduction import introduction
from instrumentserver.errors import NotAllowed
from instrumentserver.transport.connection import Connection
from instrumentserver.wire.codec import Codec, Extension
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import CODE_CODE, HANDLE_CODE, Op


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "unpickled")


class Address(str):
    """Travels as a handle, whatever it says."""


class Code(list[Any]):
    """Travels as code, whatever it says."""


@pytest.fixture
def ask(afar: Afar) -> Iterator[Callable[..., Any]]:
    """Yield what sends any request in a role, and returns the value or raises the error."""
    extensions = [
        Extension(HANDLE_CODE, lambda value: str(value) if type(value) is Address else None, str),
        Extension(CODE_CODE, lambda value: list(value) if type(value) is Code else None, list),
    ]
    connections: dict[str, Connection] = {}

    def send(role: str, *request: Any) -> Any:
        connection = connections.get(role) or connections.setdefault(role, afar.proven(role))
        connection._encode = Codec(extensions).encode
        connection.send(list(request))
        reply = connection.receive()
        if len(reply) > 3:
            raise load_failure(reply[3])
        return reply[1]

    yield send
    for connection in connections.values():
        connection.close()


def refused(ask: Callable[..., Any], role: str, requests: list[list[Any]]) -> list[list[Any]]:
    """Return those of several requests that are not refused as not allowed, with what became of them."""
    found = []
    for request in requests:
        try:
            found.append([*request, ask(role, *request)])
        except NotAllowed as error:
            text = str(error)
            if "takes the role" not in text and "on its own computer" not in text:
                found.append([*request, text])
        except Exception as error:
            found.append([*request, error])
    return found


def test_a_viewer_changes_nothing(listening: Server, ask: Callable[..., Any]) -> None:
    plain = listening.create(Plain, "plain")

    assert not refused(
        ask,
        "viewer",
        [
            [Op.SET, "plain.x", 1.0],
            [Op.CALL, "plain", "add", [1, 2], {}],
            [Op.CACHE_SET, "plain.x", 1.0],
            [Op.CACHE_INVALIDATE, "plain.x"],
            [Op.SET_ATTRIBUTE, "plain.x", "label", "Y"],
            [Op.DELETE_ATTRIBUTE, "plain", "gain"],
            [Op.WRITE_CHANNELS, "", [["plain.x", 1.0]]],
            [Op.EACH, "plain", [[Op.GET, "plain.x"], [Op.SET, "plain.x", 1.0]]],
            [Op.EACH, "plain", [[Op.CALL, "plain", "add", [1, 2], {}]]],
            [Op.CLOSE, "plain"],
            [Op.RESTART, "plain"],
            [Op.CREATE, "dac", {"name": "instruments:Dac"}, [], {}, "error"],
            [Op.STOP, ""],
            [Op.STOP_IF_UNUSED, ""],
            [Op.SHARE, "", {"a": 1}],
            [Op.LINGER, "", None],
            [Op.LOG, "", 10],
            [Op.RECIPES, ""],
            [Op.LISTEN, "", ["tls://0.0.0.0:0"], ["os:*"], True],
            [Op.CHECK_TOKENS, ""],
            [Op.SERVE, "x", {"import": "os", "sys_path": [], "shown": "os"}, {}],
            [Op.UNSERVE, "x"],
        ],
    )
    # And it costs him no connection.
    assert ask("viewer", Op.GET, "plain.x") == 0.0
    assert (plain.x(), plain.gain, list(listening.instruments)) == (0.0, 2.0, ["plain"])


def test_a_viewer_reads(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain").x(2.0)
    viewer = afar.connect("viewer")
    plain = viewer.instruments["plain"]

    assert (plain.x(), plain.x.cache(), plain.gain, plain.ch1.v.label) == (2.0, 2.0, 2.0, "Voltage")
    assert plain.outs.v() == (0.0,) * 4
    assert plain.snapshot(update=True)["parameters"]["x"]["value"] == 2.0
    assert viewer.status()["name"] == listening.name
    with pytest.raises(
        NotAllowed, match="set takes the role operator, and this connection has the role viewer"
    ):
        plain.x(3.0)
    with pytest.raises(NotAllowed):
        plain.add(1)


def test_an_operator_makes_and_ends_nothing(listening: Server, ask: Callable[..., Any]) -> None:
    plain = listening.create(Plain, "plain")

    assert not refused(
        ask,
        "operator",
        [
            [Op.CLOSE, "plain"],
            [Op.STOP, ""],
            [Op.CREATE, "dac", {"name": "instruments:Dac"}, [], {}, "error"],
            [Op.ADD_PARAMETER, "plain", "y", "qcodes.parameters.parameter:Parameter", {}],
            [Op.CALL, "plain", "close", [], {}],
            [Op.CALL, "plain", "ch1.parent.close", [], {}],
            [Op.CALL, "plain", "close_all", [], {}],
            [Op.CALL, "plain", "add_parameter", ["y"], {}],
            [Op.EACH, "plain", [[Op.CALL, "plain", "close", [], {}]]],
            [Op.RECIPES, ""],
        ],
    )
    assert ask("operator", Op.SET, "plain.x", 1.0) is None
    assert (plain.x(), list(listening.instruments)) == (1.0, ["plain"])


def test_an_admin_makes_and_ends(listening: Server, afar: Afar) -> None:
    admin = afar.connect("admin")

    dac = admin.create(Dac, "dac")
    dac.ch1.v(0.5)
    admin.create("instruments:Dac", "second")
    dac.restart()
    assert dac.ch1.v() == 0.0
    dac.close()

    assert list(listening.instruments) == ["second"]


def test_an_operation_that_is_in_no_table_is_refused(listening: Server, ask: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="not a request that this server knows"):
        ask("admin", "nonsense", "")


def test_what_belongs_to_the_owner_is_refused_to_admins(listening: Server, ask: Callable[..., Any]) -> None:
    for request in ([Op.LISTEN, "", [], ["os:*"], False], [Op.CHECK_TOKENS, ""], [Op.RECIPES, ""]):
        with pytest.raises(NotAllowed, match="on its own computer"):
            ask("admin", *request)


# Names that climb


NAMES = (
    *(
        "_x",
        "__class__",
        "x._instrument",
        "add.__globals__",
        "add.__func__",
        "ch1._v",
        "__init__.__globals__",
    ),
    *("table.__class__.__mro__", "x.get.__closure__", "x.gi_frame", "x.f_back", "_get_x"),
)


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_names_that_are_not_public_lead_nowhere(
    listening: Server, ask: Callable[..., Any], role: str
) -> None:
    listening.create(Plain, "plain")
    for name in NAMES:
        for request in (
            [Op.GET_ATTRIBUTE, "plain", name],
            [Op.SET_ATTRIBUTE, "plain", name, 1],
            [Op.DELETE_ATTRIBUTE, "plain", name],
            [Op.CALL, "plain", name, [], {}],
            [Op.EACH, "plain", [[Op.CALL, "plain", name, [], {}]]],
            [Op.EACH, "plain", [[Op.GET_ATTRIBUTE, "plain", name]]],
        ):
            with pytest.raises((NotAllowed, UsageError)):
                ask(role, *request)


def test_names_lead_into_no_module_function_or_logger(listening: Server, ask: Callable[..., Any]) -> None:
    import drivers

    class Careless(Plain):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.system = sys.modules["os"]
            self.helper = len

    assert drivers.Plain is Plain
    listening.create(Careless, "careless")
    for name in ("system.getpid", "log.logger.setLevel", "helper.mro", "add.im_func", "log.manager.disable"):
        with pytest.raises(NotAllowed):
            ask("operator", Op.CALL, "careless", name, [], {})
    with pytest.raises(NotAllowed):
        ask("operator", Op.SET_ATTRIBUTE, "careless", "log.logger.disabled", True)


# Code


def test_no_class_travels_by_value(listening: Server, ask: Callable[..., Any], tmp_path: Path) -> None:
    payload = cloudpickle.dumps(Evil(tmp_path / "evil"))
    shipped = {"name": "instruments:Dac", "file": None, "sys_path": [], "payload": payload, "mro": []}

    with pytest.raises(NotAllowed, match="cannot be sent over a network"):
        ask("admin", Op.CREATE, "dac", shipped, [], {}, "error")
    with pytest.raises(NotAllowed):
        ask("admin", Op.SERVE, "x", {"value": [payload, []], "shown": "x"}, _options())
    with pytest.raises(NotAllowed):
        ask("admin", Op.SERVE, "x", {"class": {**shipped, "name": "x:y"}, "shown": "x"}, _options())
    assert not (tmp_path / "evil").exists()
    assert list(listening.instruments) == []


def _options() -> dict[str, Any]:
    shared = {"expose": None, "lock": "one", "access": "shared", "frees": [], "reads": []}
    return {**shared, "arguments": None, "before_call": None, "digest": "x"}


def test_no_code_travels_among_arguments(listening: Server, ask: Callable[..., Any], tmp_path: Path) -> None:
    listening.create(Plain, "plain")
    code = Code([cloudpickle.dumps(Evil(tmp_path / "evil")), [str(tmp_path)]])
    shipped = {"name": "instruments:Dac", "file": None, "sys_path": []}

    for request in (
        [Op.CREATE, "dac", shipped, [code], {}, "error"],
        [Op.CREATE, "dac", shipped, [], {"a": [{"b": (code,)}]}, "error"],
        [Op.SET_ATTRIBUTE, "plain.x", "get_parser", code],
        [Op.SHARE, "", {"backend": code}],
        [Op.SET, "plain.note", code],
    ):
        with pytest.raises(NotAllowed, match="code cannot be sent"):
            ask("admin", *request)

    assert not (tmp_path / "evil").exists()
    assert ask("admin", Op.GET, "plain.x") == 0.0


def test_the_usual_client_sends_no_code_either(listening: Server, afar: Afar) -> None:
    class Mine(Plain):
        pass

    plain = listening.create(Plain, "plain")
    admin = afar.connect("admin")

    with pytest.raises(NotPortable, match="cannot be sent over a network"):
        admin.create(Mine, "mine")
    with pytest.raises(NotPortable, match="code cannot be sent over a network"):
        admin.create(Dac, "dac", print)
    with pytest.raises(NotPortable):
        admin.instruments["plain"].x.get_parser = float
    assert plain.x() == 0.0


def test_only_classes_on_the_list_are_made(listening: Server, ask: Callable[..., Any]) -> None:
    for name in (
        *(
            "subprocess:Popen",
            "os:system",
            "instruments.dac:Dac.__init__",
            "instruments:_Dac",
            "drivers:Holder",
        ),
        *("instruments.dac:np.ndarray", "instruments", "", "drivers:threading.Thread", "drivers:Instrument"),
    ):
        with pytest.raises(NotAllowed, match=r"not on this server's list.*--allow"):
            ask("admin", Op.CREATE, "x", {"name": name, "file": None, "sys_path": []}, [], {}, "error")
    assert list(listening.instruments) == []


def test_where_a_client_says_modules_are_does_not_count(
    listening: Server, ask: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments" / "__init__.py").write_text(f"open({str(tmp_path / 'evil')!r}, 'w')")
    shipped = {"name": "instruments:Dac", "file": str(tmp_path), "sys_path": [str(tmp_path)]}

    ask("admin", Op.CREATE, "dac", shipped, [], {}, "error")

    assert not (tmp_path / "evil").exists()
    assert list(listening.instruments) == ["dac"]


def test_parameters_are_of_classes_on_the_list(
    listening: Server, afar: Afar, ask: Callable[..., Any]
) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("admin").instruments["plain"]

    plain.add_parameter("extra", get_cmd=None, set_cmd=None, initial_value=3)
    assert plain.extra() == 3
    with pytest.raises(NotAllowed, match="not on this server's list"):
        ask("admin", Op.ADD_PARAMETER, "plain", "y", "subprocess:Popen", {})


def test_a_server_imports_for_serving_what_is_on_the_list(listening: Server, ask: Callable[..., Any]) -> None:
    with pytest.raises(NotAllowed, match=r"os is not on this server's list"):
        ask("admin", Op.SERVE, "x", {"import": "os", "sys_path": [], "shown": "os"}, _options())
    hook = {**_options(), "before_call": {"import": "os:system", "sys_path": [], "shown": "os:system"}}
    shipped = {"import": "drivers:Plain", "sys_path": [], "shown": "drivers:Plain"}
    with pytest.raises(NotAllowed, match=r"os:system is not on this server's list"):
        ask("admin", Op.SERVE, "x", shipped, hook)


# Others


def test_a_server_acts_on_others_for_admins_only(
    listening: Server, server: Server, ask: Callable[..., Any]
) -> None:
    listening.create(Plain, "plain")
    server.create(Plain, "victim")
    victim = Address(f"unix:{server.name}/victim")

    with pytest.raises(NotAllowed, match="on which this one may not act for you"):
        ask("operator", Op.CALL, "plain", "kind", [victim], {})
    with pytest.raises(NotAllowed):
        ask("viewer", Op.VALIDATE, "plain.x", victim)
    assert ask("admin", Op.CALL, "plain", "kind", [victim], {}) == "RemoteInstrument"


def test_who_says_he_is_another_session_is_not(listening: Server, afar: Afar) -> None:
    local = introduction()["session"]
    with ExitStack() as closing:

        def sessions_with(session: str) -> list[str]:
            """Return all sessions, with one more client who says that he is a session."""
            closing.callback(afar.proven("operator", {"session": session}).close)
            return [client["session"] for client in listening.status()["clients"]]

        sessions_with(local)
        told = next(each for each in sessions_with("another") if each != local)
        # What others are shown is not what makes a session.
        sessions = sessions_with(told)

    assert len(set(sessions)) == len(sessions) == 4
    assert local in sessions


def test_a_client_may_not_say_what_others_are_shown_of_him(listening: Server, afar: Afar) -> None:
    lies = {"role": "admin", "from": "9.9.9.9", "server": "unix:other", "program": "x" * 5000}
    connection = afar.proven("viewer", lies)

    shown = next(client for client in listening.status()["clients"] if "role" in client)

    assert (shown["role"], shown["from"], len(shown["program"])) == ("viewer", "127.0.0.1", 100)
    connection.close()


@pytest.mark.parametrize(
    "lies",
    [
        {"log_levels": {1: "x"}},
        {"log_levels": 5},
        {"given_up": [[1, "x"]]},
        {"given_up": 1},
        {"pid": []},
        {"session": {}},
    ],
    ids=["levels", "no levels", "no numbers", "no list", "pid", "session"],
)
def test_who_introduces_himself_with_nonsense_is_gone(
    listening: Server, afar: Afar, lies: dict[str, Any]
) -> None:
    with pytest.raises((EOFError, OSError)):
        afar.proven("viewer", lies)
    assert afar.connect("viewer").status()["name"] == listening.name


def test_levels_that_are_none_trouble_nobody_else(listening: Server, ask: Callable[..., Any]) -> None:
    for levels in ({1: 2}, {"a": "b"}, [], None):
        with pytest.raises(UsageError, match="no levels"):
            ask("viewer", Op.LOG_LEVELS, "", levels)
    assert ask("operator", Op.LOG_LEVELS, "", {"": 10}) is None


def test_a_generator_is_only_gone_on_with(listening: Server, ask: Callable[..., Any]) -> None:
    listening.create(Plain, "plain")
    for method in ("gi_frame", "__reduce__", "__class__", "__init__", "f_back"):
        with pytest.raises(NotAllowed):
            ask("operator", Op.STEP, "@1", method, [])


def test_an_object_is_called_by_viewers_where_it_only_reads(listening: Server, afar: Afar) -> None:
    listening.serve("sdk_sample:Device", "device", arguments=["A"], reads=["getSerial"])
    device = afar.connect("viewer").objects["device"]

    assert device.uri == f"{afar.address('viewer')}/device"
    with pytest.raises(NotAllowed, match="a viewer may only read"):
        device.setDelay(1, 5)
    assert (device.getSerial(), device.serial) == ("A", "A")
    with pytest.raises(NotAllowed):
        device.comment = "mine"
    with pytest.raises(LookupError):
        afar.connect("viewer").objects["nobody"]
