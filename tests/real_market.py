"""Markets declared over the real history that lies beside the checkout, for the tests that need it."""

from pathlib import Path

import pytest

HISTORY = Path(__file__).resolve().parents[2] / "shared" / "market"

needs_history = pytest.mark.skipif(not HISTORY.is_dir(), reason="no real market history in ../shared/market")

SPAN = 'interval = "1h"\nstart = "2025-07-01"\ntrade_from = "2026-01-15"\nend = "2026-03-15"\n'
COINS = ("BTC", "ETH", "SOL", "XRP", "BNB")


def file(name: str) -> str:
    """Return the TOML text of a history file's path."""
    return f'"{(HISTORY / f"{name}.parquet").as_posix()}"'


def feed(name: str, column: str, unit: str, interval: str) -> str:
    """Return the TOML table of a feed that is known at the close of its bar."""
    return (
        f'{{ file = {file(name)}, column = "{column}", unit = "{unit}", known_at = "close", interval = "{interval}" }}'
    )


def bitcoin(folder: Path) -> str:
    """Write the market of BTCUSDT with funding, open interest and liquidations, and return its path."""
    lines = [
        SPAN,
        "[BTCUSDT]",
        f"bars = {file('btcusdt_perp_1h_binance')}",
        f"funding = {file('btcusdt_funding_8h_binance')}",
        f"open_interest = {feed('btc_open_interest_1d_coinglass', 'oi_close', 'usd', '1d')}",
        f"long_liquidations = {feed('btc_liquidations_1h_coinglass', 'long_usd', 'usd', '1h')}",
        f"short_liquidations = {feed('btc_liquidations_1h_coinglass', 'short_usd', 'usd', '1h')}",
    ]
    return write(folder, "bitcoin", lines)


def five_coins(folder: Path) -> str:
    """Write the market of five coins, SOL and BNB funding by proxy, with three macro feeds; return the path."""
    lines = [SPAN]
    for coin in COINS:
        low = coin.lower()
        own = coin not in ("SOL", "BNB")
        funding = file(f"{low}usdt_funding_8h_binance") if own else '{ proxy = "BTCUSDT" }'
        lines += [f"[{coin}USDT]", f"bars = {file(f'{low}usdt_perp_1h_binance')}", f"funding = {funding}"]
    lines.append("[feeds]")
    for name, source in (("vix", "vix_1d_cboe"), ("sp500", "sp500_1d"), ("dxy", "dxy_1d")):
        lines.append(f"{name} = {feed(source, 'close', 'index', '1d')}")
    return write(folder, "five", lines)


def spot(folder: Path, gaps: str, start: str = "2018-01-01", end: str = "2018-03-01") -> str:
    """Write the market of BTCUSDT spot, whose file has gaps, with a gap policy; return its path."""
    lines = [f'interval = "1h"\nstart = "{start}"\nend = "{end}"\ngaps = "{gaps}"', "[BTCUSDT]"]
    return write(folder, "spot", [*lines, f"bars = {file('btcusdt_spot_1h_binance')}", 'funding = "none"'])


def write(folder: Path, name: str, lines: list[str]) -> str:
    """Write a market file and return its path as text."""
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)
