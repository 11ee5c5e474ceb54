"""Files damaged at random: used or refused, never a traceback."""

import pandas as pd
from command import FUNDING, MARKET, bars_csv, call, write_market
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["replace", "delete", "insert", "cut", "double"]),
        st.integers(0, 700),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from(
                [b",", b"\n", b"\r\n", b'"', b"-", b"nan", b"inf", b"1e400", b"9" * 20, b"\x00", b";", b" "]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


def damaged(raw, damage):
    for how, place, what in damage:
        at = place % (len(raw) + 1)
        raw = {
            "replace": raw[:at] + what + raw[at + len(what) :],
            "delete": raw[:at] + raw[at + len(what) :],
            "insert": raw[:at] + what + raw[at:],
            "cut": raw[:at],
            "double": raw[:at] + raw[at // 2 :],
        }[how]
    return raw


def assert_done_or_refused(done):
    assert done.exit_code in (0, 2), (done.exception, done.output)
    assert done.exit_code == 0 or (done.stderr.startswith("error: ") and done.stdout == "")
    assert "Traceback" not in done.output


FUZZED = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZED
@given(damage=DAMAGE)
def test_damaged_bars_are_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "bars"
    folder.mkdir(exist_ok=True)
    write_market(folder, damaged(bars_csv().encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


@FUZZED
@given(damage=DAMAGE)
def test_a_damaged_market_file_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "market"
    folder.mkdir(exist_ok=True)
    write_market(folder, funding=damaged(FUNDING.encode(), damage[:1]))
    (folder / "market.toml").write_bytes(damaged(MARKET.encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


@FUZZED
@given(damage=DAMAGE)
def test_damaged_funding_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "funding"
    folder.mkdir(exist_ok=True)
    write_market(folder, funding=damaged(FUNDING.encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


BYTES = st.tuples(
    st.sampled_from(["replace", "delete", "insert", "cut"]), st.integers(0, 6000), st.binary(min_size=1, max_size=4)
)


@FUZZED
@given(damage=st.lists(BYTES, min_size=1, max_size=3))
def test_a_damaged_parquet_file_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "parquet"
    folder.mkdir(exist_ok=True)
    write_market(folder, market=MARKET.replace("bars.csv", "bars.parquet"))
    pd.read_csv(folder / "bars.csv").to_parquet(folder / "bars.parquet")
    whole = (folder / "bars.parquet").read_bytes()
    (folder / "bars.parquet").write_bytes(damaged(whole, damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))
