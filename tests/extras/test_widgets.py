"""QCoDeS's widgets for notebooks, over runs that were measured remotely."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import Button, Textarea, Widget
from matplotlib import pyplot
from measuring.bench import Bench
from measuring.rack import Meter, Source
from qcodes import interactive_widget
from qcodes.dataset import LinSweep, dond
from qcodes.station import Station

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive"),
]


@pytest.fixture
def run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a run with the snapshot of a station of remote instruments."""
    matplotlib.use("Agg")
    source = bench.make(Source, "source")
    meter = bench.make(Meter, "meter", source, server="two")
    Station(source, meter)
    source.v3(1.25)
    yield dond(LinSweep(source.v1, 0, 1, 3), meter.i)[0]
    pyplot.close("all")
    InteractiveShell.clear_instance()


def below(widget: Any) -> Iterator[Widget]:
    """Yield a widget and everything in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from below(child)


def texts(widget: Any) -> list[str]:
    """Return what the buttons, labels and text fields of a widget say."""
    said = []
    for part in below(widget):
        said.append(part.description if isinstance(part, Button) else getattr(part, "value", None))
    return [text for text in said if isinstance(text, str)]


def press(widget: Any, description: str) -> None:
    """Click the first button of a widget that says ``description``."""
    for part in below(widget):
        if isinstance(part, Button) and part.description == description:
            part.click()
            return
    raise AssertionError(f"no button {description!r}; there are {texts(widget)}")


def test_the_list_of_experiments_shows_the_run(run: Any) -> None:
    widget = interactive_widget.experiments_widget(data_sets=[run])
    shown = texts(widget)
    assert "compared, sample" in shown
    assert any("meter_i" in text for text in shown)


def test_the_parameters_of_the_run_are_shown(run: Any) -> None:
    box = interactive_widget._get_parameters_button(run)
    box.children[0].click()
    (body,) = (part.value for part in below(box) if isinstance(part, Textarea))
    assert "source_v1:" in body
    assert "label: Voltage v1" in body
    assert "unit: A" in body


def test_the_snapshot_is_browsed_down_to_a_value(run: Any) -> None:
    browser = interactive_widget.nested_dict_browser(run.snapshot)
    assert {"station", "parameters"} <= set(texts(browser))
    browser = interactive_widget.nested_dict_browser(
        run.snapshot, ["station", "instruments", "source", "parameters", "v3"]
    )
    assert {"value", "1.25", "unit", "V", "measuring.rack.Source"} <= set(texts(browser))


@pytest.mark.parametrize("what", ["snapshot", "plot"])
def test_a_button_opens_a_tab(run: Any, what: str) -> None:
    tab = interactive_widget.create_tab(do_display=False)
    make = {"snapshot": interactive_widget._get_snapshot_button, "plot": interactive_widget._get_plot_button}
    make[what](run, tab).click()
    assert tab.get_title(1) == f"RID #1 {what}"


def test_notes_are_kept_with_the_run(run: Any) -> None:
    box = interactive_widget.editable_metadata(run)
    box.children[0].click()
    field, buttons = box.children
    field.value = "a remote run"
    buttons.children[0].click()
    assert run.metadata["widget_notes"] == "a remote run"
