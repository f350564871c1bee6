"""Remote parameters behave as QCoDeS parameters, with the server's truth behind them."""

from __future__ import annotations

import numpy as np
import pytest
from drivers import Plain
from qcodes.instrument import Instrument
from qcodes.parameters import ManualParameter, Parameter
from qcodes.validators import Numbers

from instrumentserver import NotPortable, Server


@pytest.fixture
def plain(server: Server) -> Plain:
    return server.create(Plain, "plain")


def test_get_and_set_reach_the_hardware_once_each(plain: Plain) -> None:
    plain.x.set(1.5)
    plain.x(2.5)
    assert plain.written == [1.5, 2.5]
    assert plain.x.get() == plain.x() == plain.parameters["x"]() == 2.5
    with pytest.warns(PendingDeprecationWarning):
        assert plain.get("x") == plain["x"].get() == 2.5


def test_set_outside_limits_leaves_hardware_untouched(plain: Plain) -> None:
    local = Plain("local")
    with pytest.raises(ValueError) as here:
        local.x(99)
    with pytest.raises(ValueError) as there:
        plain.x(99)
    assert plain.written == []
    assert str(there.value) == str(here.value).replace("local", "plain")
    local.close()


def test_wrong_type_is_a_type_error_on_set_and_on_validate(plain: Plain) -> None:
    with pytest.raises(TypeError, match="not an int or float"):
        plain.x("one")
    with pytest.raises(TypeError, match="not an int or float"):
        plain.x.validate("one")


def test_get_of_a_set_only_parameter_and_set_of_a_get_only_one_are_not_implemented(plain: Plain) -> None:
    with pytest.raises(NotImplementedError, match="no set cmd"):
        plain.readonly(1)
    with pytest.raises(NotImplementedError, match="no get cmd"):
        plain.writeonly()
    assert not hasattr(plain.readonly, "set")
    assert (plain.readonly.gettable, plain.readonly.settable) == (True, False)
    assert (plain.writeonly.gettable, plain.writeonly.settable) == (False, True)


def test_names_label_unit_and_docstring_are_those_of_the_driver(plain: Plain) -> None:
    v = plain.ch1.v
    assert (v.name, v.full_name, v.label, v.unit) == ("v", "plain_ch1_v", "Voltage", "V")
    assert v.register_name == "plain_ch1_v"
    assert "The output voltage." in v.__doc__
    assert repr(v.vals) == "<Numbers -10<=v<=10>"
    assert v.instrument is plain.ch1
    assert v.root_instrument is plain


def test_scale_acts_once_on_the_server(plain: Plain) -> None:
    plain.x.scale = 2
    plain.x(1.5)
    assert plain.written == [3.0]
    assert plain.x() == 1.5
    assert plain.x.scale == 2
    assert plain.x.cache.raw_value == 3.0
    assert plain.x.get_raw() == 3.0


def test_steps_are_made_by_the_server_from_the_hardware_s_value(plain: Plain) -> None:
    plain.x(1)
    plain.x.step = 0.5
    plain.x(3)
    assert plain.written == [1, 1.5, 2.0, 2.5, 3]


def test_unit_set_by_one_client_is_read_by_others(plain: Plain) -> None:
    plain.x.unit = "mV"
    assert plain.getattr("x.unit") == "mV"
    plain.setattr("x.unit", "kV")
    assert plain.x.unit == "kV"
    assert "unit" not in vars(plain.x)


def test_a_validator_set_here_holds_on_the_server(plain: Plain) -> None:
    plain.x.vals = Numbers(0, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        plain.callattr("x.set", 3)


def test_cache_is_the_server_s(plain: Plain) -> None:
    assert plain.x.get_latest() is not None or plain.x.cache.get(get_if_invalid=False) is None
    plain.x(2)
    assert plain.x.cache() == plain.x.cache.get() == plain.x.get_latest() == plain.x.get_latest.get() == 2
    assert plain.x.cache.valid
    assert plain.x.cache.timestamp == plain.x.get_latest.get_timestamp()
    plain.setattr("_x", 4.0)
    assert plain.x.cache() == 2
    plain.x.cache.invalidate()
    assert not plain.x.cache.valid
    assert plain.x.cache.get(get_if_invalid=False) == 2
    assert plain.x.cache.get() == 4.0
    plain.x.cache.set(1.0)
    assert plain.x.cache() == 1.0
    assert plain.x() == 4.0


def test_set_to_restores_and_blocks_changes(plain: Plain) -> None:
    plain.x(1)
    with plain.x.set_to(2):
        assert plain.x() == 2
        with pytest.raises(TypeError, match="not settable"):
            plain.x.set(3)
    assert plain.x() == 1


def test_parameters_are_of_the_driver_s_class(plain: Plain) -> None:
    assert isinstance(plain.note, ManualParameter)
    assert isinstance(plain.x, Parameter)
    assert not isinstance(plain.x, ManualParameter)
    assert type(plain.x).__name__ == "RemoteParameter"


def test_arrays_arrive_as_they_are(plain: Plain) -> None:
    np.testing.assert_array_equal(plain.trace(), np.linspace(0, 1, 1000))
    sent = np.asfortranarray(np.arange(6000, dtype=">i4").reshape(60, 100))
    back = plain.give(sent)
    np.testing.assert_array_equal(back, sent)
    assert (back.dtype, back.flags.f_contiguous) == (sent.dtype, True)
    back[0, 0] = 5


def test_a_value_that_cannot_travel_is_refused_by_name_and_nothing_is_lost(plain: Plain) -> None:
    with pytest.raises(NotPortable, match=r"cannot travel.*instead"):
        plain.note(object())
    with pytest.raises(NotPortable, match="code stays where it is"):
        plain.x(lambda: 1)
    assert plain.x() == 0.0


def test_a_function_given_to_a_method_is_called_here(plain: Plain) -> None:
    def function() -> None:
        """Do nothing."""

    assert plain.give(function) is function


def test_snapshot_of_a_parameter_is_the_server_s(plain: Plain) -> None:
    plain.x(3)
    snapshot = plain.x.snapshot()
    assert (snapshot["value"], snapshot["unit"], snapshot["instrument"]) == (3, "V", "drivers.Plain")


def test_local_instrument_as_a_value_is_refused_with_the_remedy(plain: Plain) -> None:
    local = Plain("local2")
    with pytest.raises(NotPortable, match="server_name="):
        plain.give(local)
    with pytest.raises(NotPortable, match="server_name="):
        plain.give([{"deep": local.x}])
    local.close()
    assert Instrument.exist("plain")


def test_identity_and_hash_are_stable(plain: Plain) -> None:
    before, key = plain.x, hash(plain.x)
    plain.grow("more")
    assert plain.x is before
    assert hash(plain.x) == key
    assert plain.give([plain.x, {"a": (plain.ch1.v,)}]) == [plain.x, {"a": (plain.ch1.v,)}]


def test_extra_validators_hold_while_the_block_lasts(plain: Plain) -> None:
    with plain.x.extra_validator(Numbers(0, 1)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            plain.x(2)
    plain.x(2)


def test_increment_and_sweep(plain: Plain) -> None:
    plain.x(1)
    plain.x.increment(1)
    assert plain.x() == 2
    assert len(list(plain.x.sweep(0, 1, num=6))) == 6
    assert 2 in plain.x[1:4:1]
