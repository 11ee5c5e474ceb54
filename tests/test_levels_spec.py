"""Levels named in text: what each text is, and the sentence for what it can't be."""

import pytest
from bars_made import random_bars
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import ConfigError
from backtest.levels import (
    avwap,
    cluster,
    fixed,
    fractal,
    named_levels,
    pivot,
    prior,
    profile,
    read_levels,
    round_numbers,
    zigzag,
)
from backtest.levels.donchian import Donchian
from backtest.levels.spec import KINDS


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("round", round_numbers()),
        ("round()", round_numbers()),
        (" fractal(3) ", fractal(3)),
        ("fractal(k=3, side='high')", fractal(k=3, side="high")),
        ("zigzag(theta=0.05)", zigzag(theta=0.05)),
        ("donchian(55)", Donchian(55)),
        ("prior('week')", prior("week")),
        ("pivot(names=['s1', 's2'])", pivot(names=("s1", "s2"))),
        ("avwap('2026-01-08')", avwap("2026-01-08")),
        ("avwap(fractal(k=4))", avwap(fractal(4))),
        ("profile(days=7)", profile(days=7)),
        ("cluster(pivots=zigzag)", cluster(pivots=zigzag())),
        ("round | fractal", round_numbers() | fractal()),
        (
            "(round | fractal | prior).within(0.01, atrs=0.5)",
            (round_numbers() | fractal() | prior()).within(0.01, atrs=0.5),
        ),
    ],
)
def test_a_text_is_the_detector_that_it_names(text, levels):
    assert read_levels(text) == levels


def test_prices_are_given_bare():
    levels = read_levels("fixed(70000, 75_000.5, known_from='2026-01-01')")
    assert levels.price.tolist() == [75_000.5, 70_000.0]
    assert levels.known_at.tolist() == fixed([1], "2026-01-01").known_at.tolist() * 2
    assert read_levels("fixed(75000) | round").parts[0].price.tolist() == [75_000.0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_name(kind):
    assert read_levels("fixed(100)" if kind == "fixed" else kind).find is not None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Levels are named in text like 'round | fractal(k=3)', got ''."),
        (None, "Levels are named in text like 'round | fractal(k=3)', got None."),
        ("fixed(75000", "Levels are named in text like 'round | fractal(k=3)', can't read 'fixed(75000'."),
        ("75000", "Levels are named in text like 'round | fractal(k=3)'; '75000' names none."),
        ("round + prior", "Levels are named in text like 'round | fractal(k=3)'; 'round + prior' names none."),
        ("fractl", "No kind of level named 'fractl'. Did you mean 'fractal'?"),
        ("__import__('os')", "No kind of level named '__import__'."),
        ("round.find(3)", "Levels are named in text like 'round | fractal(k=3)'; 'round.find(3)' names none."),
        ("fractal(q=3)", "`fractal` has no setting named 'q'. There are: k, side."),
        ("fractal(1, 2, 3)", "'fractal(1, 2, 3)' does not fit `fractal`: too many positional arguments."),
        ("fractal(k=0)", "`k` must be a whole number from 1, got 0."),
        ("fractal(k=2 + 1)", "A setting of levels is a number, a word in quotes or a kind, got '2 + 1'."),
        ("fractal(**{})", "'fractal(**{})' has a setting without a name."),
        ("fixed(*[1, 2])", "A setting of levels is a number, a word in quotes or a kind, got '*[1, 2]'."),
        ("fixed()", "`levels` is empty; give at least one price"),
        ("fixed(-5)", "A level must be a price above 0, got -5."),
        ("round.within(0.1)", "`.within` belongs to several kinds, like '(round | fractal).within(0.01)'"),
        ("(round | prior).within(-1)", "`width` must be a number from 0, got -1."),
        ("a|" * 600 + "a", "Levels are named in text like 'round | fractal(k=3)', can't read 'a|a|"),
    ],
)
def test_text_that_names_no_levels_is_refused(text, sentence):
    with pytest.raises(ConfigError) as error:
        read_levels(text)
    assert str(error.value).startswith(sentence)


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(text):
    with pytest.raises(ConfigError):
        read_levels(f"?{text}")
    try:
        read_levels(text)
    except ConfigError:
        return
    assert text.strip()


def test_prices_and_kinds_make_one_table():
    bars = random_bars(3, 500)
    both = named_levels(bars, (60_000.0, 58_000.0), "prior | round")
    assert both.kind[:2] == ("fixed", "fixed")
    assert {"prior"} <= set(both.kind)
    assert named_levels(bars, (58_000.0, 60_000.0)).price.tolist() == [60_000.0, 58_000.0]
