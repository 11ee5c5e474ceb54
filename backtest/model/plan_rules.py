"""What a plan must keep to: each rule finds the rows that break it, and says so with the row's numbers."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.errors import PlanError
from backtest.model.arrays import BoolArray

if TYPE_CHECKING:
    from backtest.model.plan import Plan

__all__ = ["AMEND", "CHECKED", "ENTER", "EXIT", "KINDS", "RESIZE", "RULES", "check_plan", "compiled_walk"]

KINDS = ("enter", "exit", "amend", "resize")
ENTER, EXIT, AMEND, RESIZE = range(4)


def check_plan(plan: "Plan") -> None:
    """Raise the first rule that a row breaks, with the row's numbers."""
    if len(plan) == 0 or is_clean(plan):
        return
    for rule in RULES:
        broken, sentence = rule(plan)
        if broken.any():
            row = int(np.argmax(broken))
            known = 0 <= plan.symbol[row] < len(plan.symbols)
            symbol = plan.symbols[plan.symbol[row]] if known else f"symbol {int(plan.symbol[row])}"
            raise PlanError(f"{sentence(row)} ({symbol}, bar {int(plan.bar[row])}).")


LONG = 200
CHECKED = (
    "bar", "symbol", "kind", "exposure", "limit", "trigger", "valid_bars", "stop", "stop_fraction", "target",
    "target_fraction", "trail", "max_bars",
)  # fmt: skip


def compiled_walk(rows: int) -> Any:
    """Return the compiled passes where they are worth it: once they are there, and for a long plan once the compiler is."""
    if "backtest.model.plan_walk" not in sys.modules and (rows < LONG or "numba" not in sys.modules):
        return None
    from backtest.model import plan_walk

    return plan_walk


def is_clean(plan: "Plan") -> bool:
    """Whether one quick pass finds that no rule is broken; where it can't tell, the rules themselves decide."""
    walk = compiled_walk(len(plan)) if len(plan.symbols) == 1 else None
    return walk is not None and not walk.is_suspect(1, *(getattr(plan, name) for name in CHECKED))


Broken = tuple[BoolArray, Callable[[int], str]]


def bars_and_kinds(p: "Plan") -> Broken:
    broken = (p.bar < 0) | (p.kind < ENTER) | (p.kind > RESIZE) | (p.symbol < 0) | (p.symbol >= len(p.symbols))
    return (
        broken,
        lambda r: f"A row needs a bar from 0, a kind and a symbol, got {p.bar[r]}, {p.kind[r]}, {p.symbol[r]}",
    )


def exposures(p: "Plan") -> Broken:
    wants = (p.kind == ENTER) | (p.kind == RESIZE)
    broken = wants & (~np.isfinite(p.exposure) | (p.exposure == 0))
    return broken, lambda r: f"`exposure` of `{KINDS[p.kind[r]]}` must be a number other than 0, got {p.exposure[r]}"


def one_action_a_bar(p: "Plan") -> Broken:
    broken = np.zeros(len(p), np.bool_)
    acts = np.flatnonzero(p.kind != AMEND)
    order = acts[np.argsort(p.symbol[acts], kind="stable")] if len(p.symbols) > 1 else acts
    same = (p.bar[order][1:] == p.bar[order][:-1]) & (p.symbol[order][1:] == p.symbol[order][:-1])
    exit_then_enter = (p.kind[order][:-1] == EXIT) & (p.kind[order][1:] == ENTER)
    third = np.zeros(same.size, np.bool_)
    third[1:] = same[1:] & same[:-1]
    broken[order[1:][(same & ~exit_then_enter) | third]] = True
    return (
        broken,
        lambda r: (
            "A bar takes one of `enter`, `exit` and `resize`, or `exit` followed by `enter`, for a symbol; "
            f"this `{KINDS[p.kind[r]]}` is one too many"
        ),
    )


def one_entry_price(p: "Plan") -> Broken:
    both = (p.kind == ENTER) & ~np.isnan(p.limit) & ~np.isnan(p.trigger)
    return both, lambda r: f"An entry has a `limit` or a `trigger`, not both: {p.limit[r]} and {p.trigger[r]}"


def prices_above_zero(p: "Plan") -> Broken:
    bad = (p.limit <= 0) | (p.trigger <= 0) | np.isinf(p.limit) | np.isinf(p.trigger) | (p.trail <= 0) | (p.trail >= 1)
    return (
        bad,
        lambda r: (
            "`limit` and `trigger` must be prices above 0 and `trail` a fraction below 1: "
            f"{p.limit[r]}, {p.trigger[r]}, {p.trail[r]}"
        ),
    )


def fractions(p: "Plan") -> Broken:
    f, g = p.stop_fraction, p.target_fraction
    bad = (
        (f <= 0) | (g <= 0) | ((p.exposure > 0) & (f >= 1)) | ((p.exposure < 0) & (g >= 1)) | np.isinf(f) | np.isinf(g)
    )
    return bad, lambda r: f"`stop_fraction` and `target_fraction` must lie between 0 and 1, got {f[r]} and {g[r]}"


def one_form_of_bracket(p: "Plan") -> Broken:
    twice = ~np.isnan(p.stop) & ~np.isnan(p.stop_fraction) | ~np.isnan(p.target) & ~np.isnan(p.target_fraction)
    return twice, lambda r: "A stop or target is a price or a fraction of the entry, not both"


def lives(p: "Plan") -> Broken:
    bad = (p.kind == ENTER) & ((p.valid_bars < 1) | (p.max_bars < 0))
    return (
        bad,
        lambda r: (
            f"`valid_bars` must be at least 1 and `max_bars` at least 0, got {p.valid_bars[r]} and {p.max_bars[r]}"
        ),
    )


def stop_beside_target(p: "Plan") -> Broken:
    side = np.sign(p.exposure)
    wrong = (p.kind == ENTER) & (side * (p.target - p.stop) <= 0)
    return wrong, lambda r: wrong_side(p, r, "stop", p.stop[r], "target", p.target[r])


def stop_beside_entry(p: "Plan") -> Broken:
    price = np.where(np.isnan(p.limit), p.trigger, p.limit)
    wrong = (p.kind == ENTER) & (np.sign(p.exposure) * (price - p.stop) <= 0)
    return wrong, lambda r: wrong_side(p, r, "stop", p.stop[r], entry_name(p, r), price[r])


def target_beside_entry(p: "Plan") -> Broken:
    price = np.where(np.isnan(p.limit), p.trigger, p.limit)
    wrong = (p.kind == ENTER) & (np.sign(p.exposure) * (p.target - price) <= 0)
    return wrong, lambda r: wrong_side(p, r, entry_name(p, r), price[r], "target", p.target[r])


def entry_name(p: "Plan", row: int) -> str:
    return "trigger" if np.isnan(p.limit[row]) else "limit"


def wrong_side(p: "Plan", row: int, low: str, low_value: float, high: str, high_value: float) -> str:
    side, where = ("long", "below") if p.exposure[row] > 0 else ("short", "above")
    return f"`{low}` {low_value} must lie {where} `{high}` {high_value} for a {side}"


RULES = (
    bars_and_kinds,
    exposures,
    one_action_a_bar,
    one_entry_price,
    prices_above_zero,
    fractions,
    one_form_of_bracket,
    lives,
    stop_beside_target,
    stop_beside_entry,
    target_beside_entry,
)
