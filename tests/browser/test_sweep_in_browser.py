"""The page of a sweep in Debian's Chromium: its heat maps drawn, walked by keys and mouse, on a desk and on a phone.

Run by `pytest tests/browser --browser`; without a Chromium that fails.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from chromium import DESK, PHONE
from heat_made import made, made_view

from backtest.report.html.sweep import write_sweep_report

HOSTILE = "<img src=x onerror=alert(1)>"
LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")
ALONG = -0.2 * np.minimum(np.abs(np.arange(28) - 9), 3) ** 2  # best at the tenth of 28
HILL = np.add.outer(ALONG, [0.8, 1.0, 0.8, -1.0, -2.0])  # and at the second of five


def three():
    """A sweep over 28 x 5 x 2 points: the third axis adds nothing, some points fail, one is a lonely peak."""
    values = np.repeat(HILL[:, :, None], 2, axis=2)
    values[25, 4] = 5.0
    axes = {"lookback": range(24, 248, 8), "buffer": (0.0, 0.001, 0.002, 0.005, 0.01), "mode": ("plain", HOSTILE)}
    return made(axes, values.ravel(), total_return=values.ravel() / 10, errors={0: "x", 1: "x"})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps")
    wide = made({"a": range(40), "b": range(40)}, np.arange(1600.0))
    some = {"three": three(), "one": made({"a": range(5)}, range(5)), "none": made({"a": (1,)}, 1), "wide": wide}
    return {name: write_sweep_report(folder / f"{name}.html", made_view(sweep)) for name, sweep in some.items()}


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")


def choose(page, identity, value):
    script = f"const s = document.getElementById('{identity}'); s.value = {json.dumps(value)}; s.dispatchEvent(new Event('change'))"
    page.run(f"(() => {{ {script} }})()")
    page.settle()


@pytest.mark.parametrize("name", ["three", "one", "none", "wide"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_asks_nobody_says_nothing_and_keeps_to_the_screen(name, size, dark, tab, pages):
    page = tab(name, size, dark)
    assert page.requests() == [pages[name].resolve().as_uri()]
    assert page.problems() == []
    assert page.run(f"{LOOKS}; layoutFaults()") == []
    assert page.run("document.images.length") == 0


def test_the_plateau_is_marked_and_told(tab):
    page = tab("three")
    assert page.run("document.querySelectorAll('td[data-cell]').length") == 140
    assert page.run("document.querySelector('td.plateau').dataset.cell") == "9,1"
    assert page.run("document.querySelectorAll('td.around').length") == 9
    assert page.run("document.querySelector('td.peak').dataset.cell") == "25,4"
    assert text(page, "td.plateau") == "1.00"
    said = text(page, "#said")
    assert said == (
        "buffer 0.001, lookback 96: Sharpe 1.00; it and its neighbours 0.60 to 1.00, middle 0.80, spread 0.40; "
        "50 trades; 2 points. The plateau."
    )
    assert page.run("document.querySelector('td.plateau').title") == said
    told = text(page, "#heat-told")
    assert "Plateau: buffer 0.001, lookback 96: Sharpe 1.00" in told
    assert "likely luck" in told


def test_a_hole_is_no_zero(tab):
    page = tab("three")
    assert page.run("document.querySelector('td[data-cell=\"0,0\"]').className") == "hole"
    page.click("td[data-cell='0,0']")
    assert text(page, "#said") == "buffer 0, lookback 24: no value; 2 points, 2 failed."


def test_keys_walk_from_cell_to_cell(tab):
    page = tab("three")
    page.run("document.querySelector('td.plateau').focus()")
    page.key("ArrowRight")
    page.key("ArrowDown")
    assert page.run("document.activeElement.dataset.cell") == "10,2"
    assert text(page, "#said").startswith("buffer 0.002, lookback 104: Sharpe 0.60;")
    page.key("Home")
    assert page.run("document.activeElement.dataset.cell") == "10,0"
    page.key("ArrowLeft")
    assert page.run("document.activeElement.dataset.cell") == "10,0"
    assert page.run("document.querySelectorAll('td[tabindex=\"0\"]').length") == 1


def test_figure_and_axes_are_chosen_in_the_page(tab):
    page = tab("three")
    choose(page, "heat-figure", "1")
    assert text(page, "td[data-cell='9,1']") == "10.0%"
    choose(page, "heat-figure", "0")
    page.click("#heat-swap")
    assert text(page, "table.heat caption") == "Sharpe: lookback across, buffer down"
    assert page.run("document.querySelector('td.plateau').dataset.cell") == "1,9"
    choose(page, "heat-x", "mode")  # the other side stays
    assert text(page, "table.heat caption") == "Sharpe: mode across, buffer down"
    assert HOSTILE in page.run("document.querySelector('table.heat thead').textContent")
    choose(page, "heat-y", "mode")  # the axis of the other side: they change places
    assert text(page, "table.heat caption") == "Sharpe: buffer across, mode down"
    assert page.run("[...document.querySelectorAll('.heat-controls select')].map(s => s.value)") == [
        "0",
        "value",
        "buffer",
        "mode",
    ]
    assert page.problems() == []


def test_the_spread_of_the_neighbours_and_the_trades_can_be_shown(tab):
    """Around the plateau the hill falls by 0.2 along and by 0.2 across: 0.60 to 1.00."""
    page = tab("three")
    choose(page, "heat-layer", "spread")
    assert text(page, "td[data-cell='9,1']") == "0.40"
    assert text(page, "table.heat caption").startswith(
        "spread of Sharpe among a cell and its neighbours: buffer across"
    )
    assert page.run("document.querySelector('td.plateau').dataset.cell") == "9,1"
    assert page.run("document.querySelector('td[data-cell=\"0,0\"]').className") == "hole"
    page.click("#heat-swap")
    assert text(page, "td[data-cell='1,9']") == "0.40"
    choose(page, "heat-layer", "trades")
    assert text(page, "td[data-cell='1,9']") == "50"
    page.click("#heat-swap")
    choose(page, "heat-layer", "value")
    assert text(page, "td[data-cell='9,1']") == "1.00"
    assert page.run(f"{LOOKS}; layoutFaults()") == []
    assert page.problems() == []


def test_many_cells_are_drawn_without_numbers_and_each_is_told(tab):
    page = tab("wide", PHONE)
    assert page.run("document.querySelectorAll('td[data-cell]').length") == 1600
    assert page.run("document.querySelector('table.heat').className") == "heat bare"
    box = page.run(
        "(() => { const b = document.querySelector('td[data-cell]').getBoundingClientRect(); return [b.width, b.height] })()"
    )
    assert min(box) >= 26
    page.click("td[data-cell='20,20']")
    assert text(page, "#said").startswith("a 20, b 20: Sharpe 820.00; it and its neighbours 779.00 to 861.00")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_numbers_can_be_read_on_every_colour(tab, dark):
    """A contrast of 4.5 at least, the AA of WCAG 2.2, between a cell's ink and its colour."""
    page = tab("three", dark=dark)
    worst = page.run("""(() => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const light = (colour) => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const part = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => part(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      return Math.min(...[...document.querySelectorAll("td[data-cell]:not(.hole)")].map(cell => {
        const look = getComputedStyle(cell), a = light(look.color), b = light(look.backgroundColor);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      }));
    })()""")
    assert worst >= 4.5
