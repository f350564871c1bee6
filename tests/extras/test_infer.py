"""QCoDeS's `infer` finds remote instruments behind parameters of this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from measuring.bench import Alike, Bench
from measuring.rack import Channels, Source
from qcodes.extensions.infer import (
    InferAttrs,
    get_chain_links_of_type,
    get_parameter_chain,
    get_parent_instruments_from_chain_of_type,
    get_root_parameter,
    get_sole_parent_instrument_from_chain_of_type,
    infer_channel,
    infer_instrument,
)
from qcodes.parameters import DelegateParameter, Parameter

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def delegates_are_followed() -> Iterator[None]:
    """Have QCoDeS look into the sources of delegates."""
    InferAttrs.add("source")
    yield
    InferAttrs.clear()


def test_the_instrument_behind_delegates_of_delegates(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        outer = DelegateParameter("outer", source=DelegateParameter("inner", source=source.v1))
        assert infer_instrument(outer) is source
        assert get_root_parameter(outer) is source.v1
        assert get_parent_instruments_from_chain_of_type(Source, outer) == (source,)
        assert get_sole_parent_instrument_from_chain_of_type(Source, outer) is source
        return [link.full_name for link in get_parameter_chain(outer)], [
            link.full_name for link in get_chain_links_of_type(Parameter, outer)
        ]

    assert alike(act, stores=False)[0] == ["outer", "inner", "source_v1"]


def test_the_channel_behind_a_delegate(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        rack = bench.make(Channels, "rack")
        delegate = DelegateParameter("delegate", source=rack.channels[1].temperature)
        return infer_channel(delegate).full_name, infer_instrument(delegate).full_name

    assert alike(act, stores=False) == ["rack_ChanB", "rack"]


def test_the_source_of_a_delegate_on_the_server(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        assert get_root_parameter(source.millivolt) is source.v1
        return infer_instrument(source.millivolt).full_name

    assert alike(act, stores=False) == "source"
