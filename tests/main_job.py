"""What the main job writes, for its tests."""

FIGURES = {
    "total_return", "cagr", "sharpe", "sortino", "max_drawdown", "calmar", "trades", "win_rate", "exposure",
    "funding_paid", "fees", "liquidations", "volatility", "open_trades", "final_equity", "unrealised",
}  # fmt: skip
UTC = "datetime64[ns, UTC]"
SHIPPED = (
    "break_retest", "buy_and_hold", "contagion_short", "crowded_long_break", "deleveraging_short", "donchian_break",
    "false_break_reclaim", "funding_carry", "liquidation_exhaustion", "ma_cross", "recovery_long", "risk_off_hedge",
    "rsi_rebound", "support_bounce", "support_break", "support_pyramid",
)  # fmt: skip
