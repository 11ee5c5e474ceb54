"""Published numbers of perpetual futures: for each `formula` of a file of vectors, how `backtest.venues` gives it."""

import math
from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import Any

import numpy as np

from backtest import venues
from backtest.venues import inverse, linear

Inputs = dict[str, Any]
SIDES = {"long": 1, "short": -1, "flat": 0}


# What the names of the inputs mean


def side_of(i: Inputs) -> int:
    return SIDES[i.get("side", "long").split("_")[0]]


def contract_of(i: Inputs) -> ModuleType:
    kind = i.get("contract", "inverse" if "contracts" in i else "linear")
    return {"linear": linear, "inverse": inverse}[kind]


def quantity_of(i: Inputs) -> float:
    return float(i.get("qty", i.get("contracts", 1.0)) * i.get("contract_value", 1.0))


def notional_of(i: Inputs, price: str = "entry") -> float:
    if "notional" in i or "position_value" in i:
        return float(i.get("notional", i.get("position_value")))
    return float(contract_of(i).notional(quantity_of(i), i[price]))


def held(i: Inputs) -> tuple[int, float, float]:
    return side_of(i), quantity_of(i), i["entry"]


def margin_of(i: Inputs) -> float:
    """What backs the position: as given, else the initial margin; in cross mode less what other positions need."""
    given = [i[name] for name in ("wallet_balance", "position_margin") if name in i]
    margin = given[0] if given else venues.initial_margin(notional_of(i), i["leverage"])
    if i.get("margin_mode") == "isolated" or not i.get("others"):
        return float(margin)
    others = [{"contract": i.get("contract", "linear"), "taker": i.get("taker", 0.0)} | other for other in i["others"]]
    unrealised = [contract_of(o).pnl(*held(o), o["mark"]) for o in others]
    return venues.cross_backing(margin, unrealised, [maintenance_of(o, notional_of(o, "mark")) for o in others])


def maintenance_of(i: Inputs, notional: float) -> float:
    return venues.maintenance_margin(notional, i["mmr"], i.get("cum", 0.0), i.get("taker", 0.0))


# Liquidation and bankruptcy


def liquidation(i: Inputs) -> Inputs:
    margin, taker = margin_of(i), i.get("taker", 0.0)
    return {"liq": contract_of(i).liquidation_price(*held(i), margin, i["mmr"], i.get("cum", 0.0), taker)}


def entry_based(i: Inputs) -> Inputs:
    contract, margin = contract_of(i), margin_of(i)
    liq = contract.fixed_liquidation_price(*held(i), margin, maintenance_of(i, notional_of(i)))
    return {"liq": liq, "bankruptcy": contract.bankruptcy_price(*held(i), margin)}


def given_amount(i: Inputs) -> Inputs:
    return {"liq": contract_of(i).fixed_liquidation_price(*held(i), margin_of(i), i["mm_amount"])}


def bybit_inverse_cross(i: Inputs) -> Inputs:
    margin = i["account_balance"] - i.get("order_margin", 0.0)
    # The closing fee is part of the loss at the bankruptcy price: the liquidation price with the fee as the only
    # maintenance.
    bankruptcy = inverse.liquidation_price(*held(i), margin, 0.0, 0.0, i["taker"])
    fee = venues.fee(inverse.notional(quantity_of(i), bankruptcy), i["taker"])
    maintenance = venues.maintenance_margin(notional_of(i), i["mmr"], closing_fee=fee)
    return {"liq": inverse.fixed_liquidation_price(*held(i), margin, maintenance), "bankruptcy": bankruptcy}


def sustainable_loss(i: Inputs) -> Inputs:
    initial, maintenance = (venues.fee(notional_of(i), i[rate]) for rate in ("im_rate", "mmr"))
    return {"total_sustainable_loss": venues.sustainable_loss(i["available_balance"], initial, maintenance)}


def hyperliquid(i: Inputs) -> Inputs:
    mmr = venues.maintenance_rate(i["max_leverage"])
    if "raw_usd" not in i:
        return liquidation(i | {"mmr": mmr})
    return {"liq": linear.liquidation_price_of_cash(side_of(i), quantity_of(i), i["raw_usd"], mmr)}


def from_bankruptcy(i: Inputs) -> Inputs:
    # A position without any margin left, entered at the bankruptcy price.
    return {
        "liq": contract_of(i).liquidation_price(
            side_of(i), 1.0, i["bankruptcy"], 0.0, i["mmr"], 0.0, i.get("taker", 0.0)
        )
    }


def htx(i: Inputs) -> Inputs:
    return liquidation(i | {"mmr": venues.maintenance_rate(i["leverage"], i["adjust_factor"])})


def bankruptcy(i: Inputs) -> Inputs:
    reserve = i.get("close_fee_reserve", 0.0)
    return {"bankruptcy": contract_of(i).bankruptcy_price(*held(i), margin_of(i), reserve)}


def insurance(i: Inputs) -> Inputs:
    contract = contract_of(i)
    price = contract.bankruptcy_price(*held(i), margin_of(i))
    return {
        "fund_pays": contract.insurance_payout(side_of(i), quantity_of(i), price, i["close_price"]),
        "bankruptcy": price,
    }


def deleveraged(i: Inputs) -> Inputs:
    contract, price = contract_of(i), i["bankruptcy_of_other"]
    forgone = contract.pnl(side_of(i), quantity_of(i), price, i["mark"])
    return {"realized_pnl": contract.pnl(*held(i), price), "mark_pnl_forgone": forgone}


# Margin, ratios, sizes, fees


def okx_ratio(i: Inputs) -> Inputs:
    equity = i["wallet_balance"] + i["upl"]
    return {"ratio": venues.margin_level(equity, i["mm_amount"], i["mmr"], i["taker"])}


def htx_ratio(i: Inputs) -> Inputs:
    return {"ratio": venues.risk_rate(i["margin_balance"], i["position_margin"], i["adjust_factor"])}


def ratio_of_equity(i: Inputs) -> Inputs:
    return {"ratio": venues.margin_ratio(i["mm_amount"], i["equity"])}


def margins_with_closing_fee(i: Inputs) -> Inputs:
    value = notional_of(i)
    fee = venues.closing_fee(side_of(i), value, i["leverage"], i["taker"])
    initial = venues.initial_margin(value, i["leverage"], fee)
    return {
        "im": initial,
        "mm": venues.maintenance_margin(value, i["mmr"], i.get("cum", 0.0), closing_fee=fee),
        "fee": fee,
    }


def position_margin(i: Inputs) -> Inputs:
    fee = venues.fee(notional_of(i, "bankruptcy"), i["taker"])
    return {"position_margin": venues.initial_margin(notional_of(i), i["leverage"], fee), "close_fee": fee}


def roi(i: Inputs) -> Inputs:
    gain = contract_of(i).pnl(*held(i), i["mark"])
    margin = position_margin(i)
    return margin | {"upnl": gain, "roi": venues.return_on_margin(gain, margin["position_margin"])}


def closing_fee(i: Inputs) -> Inputs:
    return {"fee": venues.closing_fee(side_of(i), notional_of(i), i["leverage"], i["taker"])}


def maintenance(i: Inputs) -> Inputs:
    return {"mm": maintenance_of(i, notional_of(i, "mark"))}


def order(i: Inputs) -> Inputs:
    value = notional_of(i, "price")
    initial = venues.initial_margin(value, i["leverage"]) if "leverage" in i else value
    return {"notional": value, "im": initial, "collateral": initial, "fee": venues.fee(value, i.get("fee_rate", 0.0))}


def affordable(i: Inputs) -> Inputs:
    quantity = venues.order_quantity(i["balance"], i["price"], i["leverage"], i["fee_rate"], i["step"])
    return {"qty": quantity} | order(i | {"qty": quantity})


# Tiers


def amounts(i: Inputs) -> Inputs:
    return {"cum": list(venues.maintenance_amounts(i["floors"], i["mmr"]))}


def amount_step(i: Inputs) -> Inputs:
    return {"cum": venues.next_amount(i["cum_prev"], i["floor"], i["mmr_prev"], i["mmr"])}


def lookup_2021(i: Inputs) -> Inputs:
    year_end = np.datetime64("2021-12-31", "ns").astype(np.int64)
    table = venues.table_at(venues.load_venue("binance-usdm").instrument(i["symbol"]), int(year_end))
    tier = venues.tier_of(table, i["notional"])
    return tier._asdict() | {"mm": venues.tiered_maintenance(table, i["notional"])}


# Funding


def funding(i: Inputs) -> Inputs:
    share = i.get("time_in_ratio", 1.0)
    cash = venues.funding_payment(side_of(i), notional_of(i, "mark"), i["rate"], share) * i.get("intervals", 1)
    return {"cash": cash, "settlements": int(is_held(i))}


def is_held(i: Inputs) -> bool:
    return side_of(i) != 0 and quantity_of(i) != 0


def nanoseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def funding_of_events(i: Inputs) -> Inputs:
    events = i["events"]
    notionals = np.array([notional_of(i | event, "mark") for event in events])
    times = np.array([nanoseconds(event["ts"]) for event in events], dtype=np.int64)
    grace = i.get("grace_seconds_exclusive", 0) * 1_000_000_000
    due = venues.funding_stamps(times, nanoseconds(i["open"]), nanoseconds(i["close"]), at_open=True, grace=grace)
    rates = np.array([event["rate"] for event in events])
    return {
        "cash": venues.funding_series(side_of(i), notionals, rates, due),
        "settlements": int(due.sum()) * is_held(i),
    }


def funding_once(i: Inputs) -> Inputs:
    rates = np.array(i["updates"])
    stamps = np.zeros(len(rates), np.int64) if i["boundary"] == "same" else np.arange(len(rates))
    due = venues.first_updates(stamps)
    notionals = np.full(len(rates), notional_of(i, "mark"))
    return {
        "cash": venues.funding_series(side_of(i), notionals, rates, due),
        "settlements": int(due.sum()) * is_held(i),
    }


# Profit and loss


def unrealised(i: Inputs) -> Inputs:
    contract = contract_of(i)
    return {"upnl": contract.pnl(*held(i), i["mark"]), "fee": venues.fee(notional_of(i), i.get("fee_open", 0.0))}


def round_trip(i: Inputs) -> Inputs:
    fees, cash = (i["fee_open"], i["fee_close"]), i.get("funding_cash", 0.0)
    pnl = linear.round_trip_pnl(*held(i), i["exit"], *fees, cash)
    opened = linear.opening_value(*held(i), i["fee_open"])
    margin = venues.initial_margin(opened, i.get("leverage", 1.0))
    return {"pnl": pnl, "open_value": opened, "ratio_freqtrade": venues.return_on_margin(pnl, margin)}


def close_value(i: Inputs) -> Inputs:
    cash = i.get("funding_cash", 0.0)
    return {"close_value": linear.closing_value(side_of(i), quantity_of(i), i["exit"], i["fee_close"], cash)}


def net_result(i: Inputs) -> Inputs:
    contract = contract_of(i)
    gross = contract.pnl(*held(i), i["exit"])
    rate = i.get("fee_rate", 0.0)
    fees = [
        -venues.fee(notional_of(i, name), i.get(own, rate))
        for name, own in (("entry", "fee_open"), ("exit", "fee_close"))
    ]
    total = -i["fee_total"] if "fee_total" in i else sum(fees)
    net = gross + total
    margin = venues.initial_margin(notional_of(i), i.get("leverage", 1.0))
    ratio = venues.return_on_margin(net, margin)
    return {
        "gross": gross,
        "fee": total,
        "fee_open": fees[0],
        "fee_close": fees[1],
        "net": net,
        "pnl": net,
        "ratio": ratio,
    }


def rounded_lots(i: Inputs) -> Inputs:
    return {"pnl": inverse.lot_pnl(side_of(i), i["lots"], i["lot_usd"], i["entry"], i["exit"])}


def total(i: Inputs) -> Inputs:
    return {"pnl": math.fsum(i["parts"])}


def fill_fee(i: Inputs) -> Inputs:
    return {"fee": venues.fee(notional_of(i, "price"), i["fee_rate"])}


def average_entry(i: Inputs) -> Inputs:
    return {"aep": contract_of(i).average_entry(i["fills"])}


def adapter(formula: str) -> Callable[[Inputs], Inputs]:
    """Return what computes a formula; the contract of one that is named for inverse contracts is inverse."""
    kind = {"contract": "inverse"} if "inverse" in formula else {}
    return lambda inputs: FORMULAS[formula](kind | inputs)


FORMULAS: dict[str, Callable[[Inputs], Inputs]] = {
    "wb_cum": liquidation,
    "wb_cum_inverse": liquidation,
    "mmr_plus_taker": liquidation,
    "mmr_plus_taker_inverse": liquidation,
    "entry_based_mm": entry_based,
    "entry_based_mm_inverse": entry_based,
    "bk_plus_entry_mm": entry_based,
    "given_mm_amount": given_amount,
    "bybit_inverse_cross_legacy": bybit_inverse_cross,
    "bybit_cross_sustainable_loss": sustainable_loss,
    "hl_maint_leverage": hyperliquid,
    "bk_over_one_minus_mmr": from_bankruptcy,
    "htx_adjust_factor": htx,
    "leverage_linear": bankruptcy,
    "leverage_inverse": bankruptcy,
    "margin_based": bankruptcy,
    "close_below_bankruptcy": insurance,
    "counterparty_closed_at_bankruptcy_price": deleveraged,
    "okx_inverse_ratio": okx_ratio,
    "htx_risk_rate": htx_ratio,
    "mm_over_equity": ratio_of_equity,
    "bybit_im_mm_with_close_fee": margins_with_closing_fee,
    "im_plus_close_fee_at_bankruptcy": position_margin,
    "upnl_over_im_plus_close_fee": roi,
    "value_times_1_pm_imr_times_taker": closing_fee,
    "tiered": maintenance,
    "tiered_inverse": maintenance,
    "rate_on_notional": maintenance,
    "notional": order,
    "notional_over_leverage": order,
    "notional_over_leverage_plus_fee": order,
    "qty_floor_01": affordable,
    "cum_recursion": amounts,
    "cum_recursion_step": amount_step,
    "lookup_2021_btcusdt": lookup_2021,
    "mark_value_times_rate": funding,
    "mark_value_times_rate_times_time_in_ratio": funding,
    "no_cash": funding,
    "three_intervals": funding,
    "sum_inclusive_with_grace": funding_of_events,
    "settle_once_per_boundary": funding_once,
    "linear_upnl": unrealised,
    "inverse_upnl": unrealised,
    "linear_pnl_fees_funding": round_trip,
    "linear_close_value": close_value,
    "linear_pnl_total_fee": net_result,
    "linear_pnl_given_fee": net_result,
    "linear_pnl_per_side_fee": net_result,
    "bitmex_rounded_lots": rounded_lots,
    "sum": total,
    "inverse_fee": fill_fee,
    "linear_fee": fill_fee,
    "linear_aep": average_entry,
    "inverse_aep": average_entry,
}

ADAPTERS = {formula: adapter(formula) for formula in FORMULAS}
