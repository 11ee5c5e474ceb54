"""Arrays as text and back, JSON inside a page, and HTML in Python."""

import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.report.html.pack import json_text, packed, packed_times, packed_whole, unpacked
from backtest.report.html.tags import Markup, el, escaped, joined, table

HOUR = 3_600_000_000_000
NUMBERS = st.one_of(st.floats(-1e9, 1e9), st.just(math.nan), st.just(math.inf))


def test_bytes_of_whole_numbers_by_hand():
    # 0, 5, 4, -60, 140: differences 0, 5, -1, -64, 200; in zigzag 0, 10, 1, 127, 400 = 0b11_0010000
    assert base64.b64decode(packed_whole([0, 5, 4, -60, 140])["b"]) == bytes([0, 10, 1, 127, 0x90, 0x03])


def test_prices_keep_their_decimals():
    column = packed([100.0, 100.5, 99.75])
    assert (column["n"], column["d"], column["gaps"]) == (3, 2, [])
    # 10000, 10050, 9975: differences 10000, 50, -75; in zigzag 20000, 100, 149
    assert base64.b64decode(column["b"]) == bytes([0xA0, 0x9C, 0x01, 100, 0x95, 0x01])
    np.testing.assert_array_equal(unpacked(column), [100.0, 100.5, 99.75])


def test_large_amounts_lose_only_what_no_screen_shows():
    column = packed([2.345678e10, 1.0e10], digits=5)
    assert column["d"] == -6
    np.testing.assert_allclose(unpacked(column), [2.3457e10, 1.0e10], rtol=1e-12)


def test_stretches_without_a_number_come_back_as_such():
    column = packed([math.nan, 1.0, math.nan, math.inf, 2.0])
    assert column["gaps"] == [[0, 1], [2, 2]]
    np.testing.assert_array_equal(unpacked(column), [math.nan, 1.0, math.nan, math.nan, 2.0])


@pytest.mark.parametrize("values", [[], [math.nan], [0.0, 0.0], [1e-83], [1e-300, 1.0], [-7.0]])
def test_odd_arrays_come_back(values):
    np.testing.assert_allclose(unpacked(packed(values)), values, rtol=1e-6, atol=1e-100)


@given(st.lists(NUMBERS, max_size=60), st.integers(2, 9))
def test_every_array_comes_back_to_its_digits(values, digits):
    array = np.where(np.isfinite(values), values, np.nan) if values else np.empty(0)
    found = unpacked(packed(array, digits))
    largest = np.nanmax(np.abs(array)) if np.isfinite(array).any() else 0.0
    np.testing.assert_array_equal(np.isnan(found), np.isnan(array))
    there = np.isfinite(array)
    assert np.all(np.abs(found[there] - array[there]) <= 0.5000001 * largest * 10.0 ** (1 - digits) + 1e-300)


@given(st.lists(st.integers(-(2**40), 2**40), max_size=60))
def test_whole_numbers_come_back_exactly(values):
    assert unpacked(packed_whole(values)).tolist() == values


def test_times_are_a_start_a_step_and_jumps():
    time = np.array([0, 1, 2, 5, 6], dtype=np.int64) * HOUR
    assert packed_times(time, HOUR) == {"n": 5, "start": 0, "step": 3600, "jumps": [[3, 7200]]}
    assert packed_times(time[:0], HOUR) == {"n": 0, "start": 0, "step": 3600, "jumps": []}


def test_json_can_stand_in_a_script():
    text = json_text({"name": "</script><!-- \u2028 & ünï"})
    assert json.loads(text) == {"name": "</script><!-- \u2028 & ünï"}
    assert not set("<>&\u2028") & set(text)
    assert text.isascii()


def test_json_has_no_number_that_it_could_not_name():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text([math.nan])


@given(st.text())
def test_no_text_becomes_markup(text):
    found = escaped(text)
    assert not set("<>\"'") & set(found)
    assert found.replace("&", "").isprintable()


def test_elements_escape_text_and_attributes_but_not_elements():
    inner = el("b", "<i>")
    assert inner == "<b>&lt;i&gt;</b>"
    assert el("p", inner, " & ", None, title='a"b') == '<p title="a&quot;b"><b>&lt;i&gt;</b> &amp; </p>'
    assert el("input", type="checkbox", checked=True, hidden=False) == '<input type="checkbox" checked>'
    assert joined(["<", inner]) == "&lt;<b>&lt;i&gt;</b>"
    assert isinstance(escaped(inner), Markup)


def test_characters_that_turn_text_around_are_shown_as_such():
    assert escaped("abc\u202edcba\x1b[2J\n") == "abc?dcba?[2J?"


def test_a_table_has_headers_for_columns_and_rows():
    made = table(["a", "b"], [["x", 1]], caption="<c>")
    assert '<th scope="col" class="l">a</th><th scope="col" class="n">b</th>' in made
    assert '<th scope="row" class="l">x</th><td class="n">1</td>' in made
    assert 'tabindex="0"' in made
    assert "<caption>&lt;c&gt;</caption>" in made
