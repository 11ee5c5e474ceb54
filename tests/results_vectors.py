"""Published numbers of results: for each `fn` of a file of vectors, how the package's functions give it."""

import math

import numpy as np

from backtest.analysis import metrics
from backtest.analysis import significance as sig


def known(values):
    return np.array([value for value in values if value is not None], dtype=np.float64)


def shape(inputs):
    return {"skew": inputs["skew"], "kurtosis": inputs["kurt"]}


def dependent(inputs):
    return shape(inputs) | {"rho": inputs["rho"]}


def dsr(inputs):
    return sig.deflated_sharpe(inputs["sr"], inputs["n"], inputs["n_trials"], inputs["var"], **shape(inputs))


def dsr_from_trials(inputs):
    assert inputs["ddof"] == 0, "the variance of the trials is over their number"
    trials = inputs["trials"]
    return sig.deflated_sharpe(inputs["sr"], inputs["n"], len(trials), sig.trials_variance(trials), **shape(inputs))


def psr(inputs):
    return sig.probabilistic_sharpe(inputs["sr"], inputs["sr0"], inputs["n"], **shape(inputs))


def mintrl(inputs):
    return sig.min_track_record(inputs["sr"], inputs["sr0"], confidence=1 - inputs["alpha"], **shape(inputs))


def mintrl_years(inputs):
    root = math.sqrt(inputs["periods"])
    return mintrl(inputs | {"sr": inputs["sr_ann"] / root, "sr0": inputs["sr0_ann"] / root}) / inputs["periods"]


def psr2026(inputs):
    return sig.probabilistic_sharpe_2026(inputs["sr"], inputs["sr0"], inputs["n"], **dependent(inputs))


def mintrl2026(inputs):
    return sig.min_track_record_2026(inputs["sr"], inputs["sr0"], confidence=1 - inputs["alpha"], **dependent(inputs))


def beta2026(inputs):
    given = dependent(inputs) | {"confidence": 1 - inputs["alpha"]}
    return sig.miss_rate_2026(inputs["sr0"], inputs["sr1"], inputs["n"], **given)


def ofdr(inputs):
    between = inputs["sr"], inputs["n"], inputs["sr0"], inputs["sr1"], inputs["p1"]
    return sig.observed_false_discovery(*between, **dependent(inputs))


def lo_eta_row(inputs):
    return [sig.lo_factor(inputs["rho"] ** np.arange(1.0, q), q) for q in inputs["q"]]


def pbo_mc(inputs):
    generator, found = np.random.default_rng(1), []
    for _ in range(inputs["reps"]):
        returns = generator.standard_normal((inputs["T"], inputs["N"]))
        returns[:, : inputs["k"]] += inputs["edge"]
        found.append(sig.pbo(returns, inputs["S"]))
    return np.mean(found)


def arch_block(inputs):
    """Return the block lengths of both bootstraps, the package's first; the circular one's is (3/2)^(1/3) of it."""
    y = np.random.RandomState(inputs["seed"]).standard_normal(inputs["n"] + inputs["burn"])
    for i in range(1, y.size):
        y[i] += inputs["phi"] * y[i - 1]
    block = sig.block_length(y[inputs["burn"] :])
    return [block, 1.5 ** (1 / 3) * block]


def emp_calmar(inputs):
    """Return CAGR / |drawdown| of growth from 1; the first period, which has no return, counts as time."""
    r = known(inputs["r"])
    equity, years = np.cumprod(1 + r), len(inputs["r"]) / inputs["periods"]
    return metrics.calmar(metrics.cagr(equity, 1.0, years), metrics.max_drawdown(equity, 1.0))


def downside(inputs):
    return metrics.downside_deviation(known(inputs["r"])) * math.sqrt(inputs["periods"])


def upi_mean(inputs):
    """Return the mean return over the Ulcer index of the prices, the first of which is no return."""
    prices = inputs["prices"]
    return metrics.martin(np.mean(metrics.returns(prices[1:], prices[0])), metrics.ulcer(prices, prices[0]))


ADAPTERS = {
    "emax_sr": lambda inputs: sig.expected_maximum(inputs["n_trials"], inputs["var"]),
    "dsr": dsr,
    "dsr_from_trials": dsr_from_trials,
    "psr": psr,
    "mintrl": mintrl,
    "mintrl_years": mintrl_years,
    "sr_sd": lambda inputs: sig.sharpe_error_2026(inputs["sr"], inputs["n"], **dependent(inputs)),
    "psr2026": psr2026,
    "mintrl2026": mintrl2026,
    "beta2026": beta2026,
    "pfdr": lambda inputs: sig.planned_false_discovery(inputs["p1"], inputs["alpha"], inputs["beta"]),
    "ofdr": ofdr,
    "sd_max_normal": lambda inputs: sig.maximum_deviation(inputs["k"]),
    "dsr2026": lambda inputs: sig.deflated_sharpe_2026(inputs["sr"], inputs["k"], inputs["var"]),
    "lo_se_row": lambda inputs: [sig.sharpe_error(inputs["sr"], n) for n in inputs["T"]],
    "lo_eta_row": lo_eta_row,
    "comb_half": lambda inputs: sig.splits(inputs["S"]),
    "pbo_mean": lambda inputs: sig.pbo(inputs["m"], inputs["S"], "mean"),
    "pbo_mc": pbo_mc,
    "arch_block": arch_block,
    "sharpe": lambda inputs: metrics.sharpe(known(inputs["r"]), inputs["periods"]),
    "sortino": lambda inputs: metrics.sortino(known(inputs["r"]), inputs["periods"]),
    "annvol": lambda inputs: metrics.volatility(known(inputs["r"]), inputs["periods"]),
    "downside_dev": downside,
    "emp_calmar": emp_calmar,
    "upi_mean": upi_mean,
    "dd_dollar": lambda inputs: metrics.dollar_drawdowns(inputs["eq"], inputs["eq"][0]),
    "ulcer_window": lambda inputs: 100 * metrics.ulcer(inputs["close"], inputs["close"][0]),
}
