from __future__ import annotations

import pytest
from drivers import Plain

from instrumentserver.errors import NotAllowed, UsageError
from instrumentserver.server.allowed import AllowList
from instrumentserver.wire.classes import class_text


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("drivers:Plain", "drivers:Plain"),
        ("drivers.*", "drivers:Plain"),
        ("instruments:Dac", "instruments:Dac"),
        # By the name that the list says, and by the place where the class is.
        ("instruments:Dac", "instruments.dac:Dac"),
        ("instruments.*", "instruments.dac:Dac"),
        ("instruments.dac.*", "instruments.dac:Dac"),
    ],
)
def test_a_class_on_the_list_may_be_named(pattern: str, name: str) -> None:
    assert AllowList([pattern]).find_instrument(name) == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("drivers:Plain", "drivers:Holder"),
        ("drivers:Plain", "drivers:Plain.__init__"),
        ("instruments.dac:Dac", "instruments.dmm:Dmm"),
        ("instruments.*", "instrumentserver:Instrument"),
        ("drivers.*", "driversx:Plain"),
        # What a module on the list has from others is not on the list.
        ("drivers.*", "drivers:threading.Thread"),
        ("drivers.*", "drivers:Instrument"),
        ("drivers.*", "drivers:np.ndarray"),
        ("drivers.*", "drivers:Handle"),
        ("drivers.*", "drivers:nothing"),
        ("drivers.*", "drivers"),
        ("drivers.*", "drivers:_private"),
    ],
)
def test_what_is_not_on_the_list_is_refused(pattern: str, name: str) -> None:
    with pytest.raises(NotAllowed):
        AllowList([pattern]).find_instrument(name)


@pytest.mark.parametrize("name", [None, 5, ["drivers:Plain"], ""])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(NotAllowed):
        AllowList(["drivers.*"]).find_instrument(name)
    with pytest.raises(NotAllowed):
        AllowList(["drivers.*"]).check(name)


def test_the_refusal_says_what_to_do() -> None:
    with pytest.raises(
        NotAllowed, match=r"drivers:Plain is not .* \(instruments:Dac\).*--allow drivers:Plain"
    ):
        AllowList(["instruments:Dac"]).find_instrument("drivers:Plain")


def test_nothing_is_on_the_list_by_itself() -> None:
    for name in ("drivers:Plain", class_text(Plain), "os"):
        with pytest.raises(NotAllowed, match=r"\(nothing\)"):
            AllowList().find_instrument(name)
        with pytest.raises(NotAllowed):
            AllowList().check(name)


def test_modules_and_what_they_define_may_be_served() -> None:
    allowed = AllowList(["sdk_sample", "sdk_sample.*", "instruments.dac:np"])

    assert allowed.check("sdk_sample") == "sdk_sample"
    assert allowed.check("sdk_sample:Device") == "sdk_sample:Device"
    # Said so itself.
    assert allowed.check("instruments.dac:np") == "instruments.dac:np"


@pytest.mark.parametrize(
    "name", ["sdk_sample:run", "sdk_sample:shell", "sdk_sample:os", "sdk_sample:os.system", "os"]
)
def test_what_a_module_has_imported_is_not_served(name: str) -> None:
    with pytest.raises(NotAllowed):
        AllowList(["sdk_sample.*"]).check(name)


def test_parameters_are_of_qcodes_or_of_the_list() -> None:
    allowed = AllowList(["drivers.*"])

    allowed.check_parameter("qcodes.parameters.parameter:Parameter")
    allowed.check_parameter("drivers:Sweep")
    for name in ("subprocess:Popen", "qcodes.parameters._x:Y", None):
        with pytest.raises(NotAllowed):
            allowed.check_parameter(name)


@pytest.mark.parametrize("pattern", ["", "*", "*.x", "a b", "os;x", "a:", 5])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    allowed = AllowList(["drivers:Plain"])
    with pytest.raises(UsageError, match="no import path"):
        allowed.extend(["instruments:Dac", pattern])
    assert allowed.patterns() == ["drivers:Plain"]
