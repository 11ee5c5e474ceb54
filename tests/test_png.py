"""The picture of a run: the same bytes each time, with levels where there is a market, and a sentence where it can't be."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import write_market
from compared_runs import made_run
from made_result import make_result
from matplotlib.figure import Figure

from backtest import load_market, run
from backtest.errors import ConfigError, ResultsError
from backtest.report import png
from backtest.report.html import view_of
from backtest.report.html.series import charts_of
from backtest.report.png import png_run

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def size_of(data):
    """Return width and height, which stand in the first chunk of a PNG."""
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_a_picture_is_a_png_of_a_known_size_and_always_the_same(tmp_path):
    view = view_of(made_run([0.1, -0.2, 0.05] * 10))
    paths = [png_run(view, tmp_path / name) for name in ("a.png", "b.PNG")]
    one, two = (path.read_bytes() for path in paths)
    assert one.startswith(SIGNATURE)
    assert size_of(one) == (1500, 1125)
    assert one == two
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.PNG"]  # no draft is left


def test_the_settings_of_the_user_change_nothing(tmp_path):
    import matplotlib as mpl

    view = view_of(made_run([0.1, -0.2, 0.05]))
    before = png_run(view, tmp_path / "a.png").read_bytes()
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 30, "figure.facecolor": "red"}):
        mine = dict(mpl.rcParams)
        assert png_run(view, tmp_path / "b.png").read_bytes() == before
        assert dict(mpl.rcParams) == mine


def test_no_display_is_asked_for(tmp_path):
    # pyplot would choose a window system; it is not loaded, so nothing can ask for one
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from compared_runs import made_run\n"
        "from backtest.report.html import view_of; from backtest.report.png import png_run\n"
        "png_run(view_of(made_run([0.1])), sys.argv[2]); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    here, picture = str(Path(__file__).parent), str(tmp_path / "a.png")
    done = subprocess.run([sys.executable, "-c", code, here, picture], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_axes_hold_equity_and_drawdown():
    view = view_of(made_run([0.1, -0.2, 0.05]))
    figure = Figure()
    png.draw(figure, view, None)
    above, below = figure.axes
    assert above.lines[0].get_ydata() == pytest.approx([1100.0, 880.0, 924.0], rel=1e-12)
    assert above.lines[1].get_ydata() == [1000.0, 1000.0]
    assert below.collections[0].get_paths()[0].vertices[:, 1].min() == pytest.approx(-0.2, rel=1e-12)


@pytest.fixture
def traded(tmp_path, monkeypatch):
    """A market that breaks 95, and a run that shorts it."""
    monkeypatch.chdir(tmp_path)
    market = load_market(write_market(tmp_path))
    return market, run("support_break", market=write_market(tmp_path), levels=(95.0, 80.0))


def test_with_a_market_there_are_price_levels_and_trades(traded):
    market, result = traded
    view = view_of(result)
    figure = Figure()
    png.draw(figure, view, charts_of(view, market)[0])
    price = figure.axes[0]
    assert len(figure.axes) == 3
    np.testing.assert_array_equal(price.lines[0].get_ydata(), market["BTCUSDT"].close)
    levels = {float(line.get_ydata()[0]) for line in price.lines[1:]}
    assert levels == {95.0}  # 80 is far below what is drawn
    assert [text.get_text() for text in price.get_legend().get_texts()] == ["short", "exit"]
    assert price.collections[0].get_offsets().shape == (1, 2)


def test_a_simulated_market_says_so_and_names_are_no_formulas(tmp_path):
    odd = "$x^2$ {\x1b[2J"
    view = view_of(make_result(strategy=odd, market="a$b$"))
    figure = Figure()
    png.draw(figure, view, None)
    title = figure.get_suptitle()
    assert title.startswith("SIMULATED MARKET")
    assert "$x^2$" in title
    assert "\x1b" not in title
    assert png_run(view, tmp_path / "a.png").stat().st_size > 10_000
    real = Figure()
    png.draw(real, view_of(made_run([0.1])), None)
    assert "SIMULATED" not in real.get_suptitle()


def test_without_matplotlib_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"A picture needs matplotlib: pip install 'levelbreak\[png\]'\."):
        png_run(view_of(made_run([0.1])), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_drawn_or_written_is_said(tmp_path):
    view = view_of(made_run([0.1]))
    with pytest.raises(ConfigError, match=r"name it 'a\.png', not 'a\.svg'"):
        png_run(view, tmp_path / "a.svg")
    with pytest.raises(ConfigError, match="has no bar to draw"):
        png_run(view_of(made_run([])), tmp_path / "a.png")
    with pytest.raises(ResultsError, match=r"a\.png can't be written: No such file or directory"):
        png_run(view, tmp_path / "nowhere" / "a.png")


@pytest.mark.parametrize("returns", [[0.0] * 5, [-1.0, 0.0], [1e9, -0.999]])
def test_what_is_flat_ruined_or_extreme_is_drawn(tmp_path, returns):
    assert png_run(view_of(made_run(returns)), tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


def test_a_long_run_is_drawn(tmp_path):
    view = view_of(made_run(np.random.default_rng(1).normal(0, 1e-4, 5)))
    n = 300_000
    equity = 1000.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, n)))
    long = replace(view, time=view.time[0] + 60_000_000_000 * np.arange(n, dtype=np.int64), equity=equity)
    assert png_run(long, tmp_path / "a.png").read_bytes().startswith(SIGNATURE)
