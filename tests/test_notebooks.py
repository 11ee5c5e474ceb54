"""What a notebook shows: tables of plain HTML, whole and escaped."""

import doctest
import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
from compared_runs import made_run
from made_result import make_result

from backtest.analysis.compare import compare
from backtest.model import notebook

TIMES = "\N{MULTIPLICATION SIGN}"
ODD = "<script>alert('x')</script> & \"y\""


def parsed(html):
    """Return the text of every cell, row by row, and of the notes; what is not well formed fails."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    assert {e.tag for e in root.iter()} <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    caption = root.find("table/caption")
    return rows, "" if caption is None else caption.text, [p.text for p in root.iter("p")]


def quick(*runs):
    return compare(runs, superior=False, replicates=20)


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(notebook) == (0, 1)


def test_a_result_is_a_table_of_facts():
    rows, caption, notes = parsed(make_result()._repr_html_())
    facts = dict(rows)
    assert caption == "support_break on made"
    assert facts["bars"] == "2026-01-01T00:00Z to 2026-01-01T05:00Z, 5"
    assert facts["equity"] == "1,000.00 to 1,015.09"
    assert facts["return"] == "+1.51%"
    assert facts["trades"] == "2, 1 of them open"
    assert facts["liquidations"] == "0"
    assert facts["fees paid"] == "0.21"  # 0.19 and 0.025
    assert facts["funding paid"] == "-0.30"
    assert facts["assumptions"] == f"mark_is_last {TIMES}3, simulated_data {TIMES}1"
    assert facts["levels"] == "(75000.0, 70000.0)"
    assert notes[0].startswith("SIMULATED MARKET")
    assert parsed(make_result(origin="real")._repr_html_())[2] == []


def test_nothing_in_a_result_is_markup():
    odd = make_result(strategy=ODD, market=ODD, assumptions={ODD: 1})
    html = odd._repr_html_()
    assert "<script>" not in html
    rows, caption, _ = parsed(html)
    assert caption == f"{ODD} on {ODD}"
    assert dict(rows)["assumptions"] == f"{ODD} {TIMES}1"


def test_a_result_without_a_bar_or_a_configuration_is_shown():
    empty = replace(make_result(), time=np.empty(0, np.int64), equity_values=np.empty(0), config=None)
    rows, caption, _ = parsed(empty._repr_html_())
    assert caption == "plan on made"
    assert dict(rows)["bars"] == "0"
    assert dict(rows)["return"] == "+0.00%"


def test_a_comparison_is_a_ranked_table():
    found = quick(made_run([0.0, -0.02], "bad"), made_run([0.01, 0.02], "good"))
    rows, caption, notes = parsed(found._repr_html_())
    header, good, bad = rows
    assert caption == "2 runs, ranked by total return; * is the best of its column"
    assert header[:3] == ["run", "rank", "return"]
    assert good[:3] == ["good", "1", "+3.0%*"]
    assert bad[:3] == ["bad", "2", "-2.0%"]
    assert len(header) == len(good) == len(bad)
    assert header[-1] == "return above good's"
    assert good[-1] == ""
    assert bad[-1].startswith("-5.0% (")
    assert any("They share 2 days only" in note for note in notes)


def test_an_interval_that_is_undefined_is_left_out():
    flat = quick(made_run([0.01, 0.02], "good"), made_run([-1.0, 0.0], "gone"))
    lead = flat.to_best[0]
    found = replace(flat, to_best=(replace(lead, low=math.nan, high=math.nan),))
    rows, _, _ = parsed(found._repr_html_())
    assert rows[-1][0] == "gone"
    assert rows[-1][-1] == "-103.0%"  # 1.01 * 1.02 - 1, less than all
    assert "nan" not in found._repr_html_()


def test_nothing_in_a_comparison_is_markup():
    html = quick(made_run([0.01], ODD, market=ODD), made_run([0.02], "two", market=ODD))._repr_html_()
    assert "<script>" not in html
    assert ODD.rsplit("/", 1)[-1] in parsed(html)[0][2][0]


def test_a_comparison_of_what_can_not_be_compared_is_shown():
    rows, _, notes = parsed(quick(made_run([0.1], "one"), made_run([0.1], "two", first=9))._repr_html_())
    assert [row[1] for row in rows[1:]] == ["\N{EN DASH}", "\N{EN DASH}"]
    assert any("can't be compared" in note for note in notes)
