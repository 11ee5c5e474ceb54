"""A run's configuration as TOML and back."""

import tomllib
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.catalogue import (
    config_from_toml,
    config_to_toml,
)
from backtest.errors import ConfigError
from backtest.model import RunConfig

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NUMBER = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
VALUE = (
    TEXT
    | NUMBER
    | st.booleans()
    | st.lists(st.floats(allow_nan=False), max_size=4).map(tuple)
    | st.lists(TEXT).map(tuple)
)
PAIRS = st.dictionaries(TEXT, VALUE, max_size=4).map(lambda d: tuple(d.items()))
CONFIGS = st.builds(
    RunConfig,
    TEXT,
    TEXT,
    PAIRS,
    TEXT,
    PAIRS,
    TEXT,
    st.none() | st.integers(0, 2**31),
    st.none() | st.floats(-0.01, 0.01),
)


@given(CONFIGS)
def test_a_configuration_survives_toml(config):
    text = config_to_toml(config)
    tomllib.loads(text)
    assert config_from_toml(text) == config


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("strategy = ", "no valid TOML"),
        ('strategie = "x"', "Did you mean 'strategy'"),
        ("market = 'x'", "needs a strategy"),
        ("strategy = 'x'\nparameters = 3", "must be a table"),
    ],
)
def test_a_wrong_configuration_is_said_in_a_sentence(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        config_from_toml(text)


def test_a_setting_that_toml_can_not_hold_is_refused():
    with pytest.raises(ConfigError, match="must be text, a number"):
        config_to_toml(RunConfig("x", parameters=(("when", datetime(2026, 1, 1)),)))


def test_a_path_that_is_no_text_still_gives_valid_toml():
    tomllib.loads(config_to_toml(RunConfig("bad\udc80name.py")))
