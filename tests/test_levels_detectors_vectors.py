"""Published numbers of levels, through the adapters that any file of vectors goes through.

Sources: DaveSkender/Stock.Indicators (fractal, donchian, pivots, VWAP), jbn/ZigZag (turning points; offline, with both ends
forced), vfranca/mtcli-volume (volume profile), and the reports' own price of 67,490 (round numbers).
"""

import pytest
from levels_vectors import ADAPTERS

CASES = [
    {
        "id": "fractal_high_3",
        "fn": "fractal",
        "inputs": {
            "hl": [[214.22, 213.15], [214.06, 213.02], [215.17, 213.42], [214.53, 213.91], [214.89, 213.52]],
            "k": 2,
        },
        "expected": [215.17, None],
        "tolerance": 1e-09,
    },
    {
        "id": "fractal_low_250",
        "fn": "fractal",
        "inputs": {
            "hl": [[257.86, 257.16], [258.04, 257.59], [258.65, 256.81], [258.9, 257.54], [260.66, 259.04]],
            "k": 2,
        },
        "expected": [None, 256.81],
        "tolerance": 1e-09,
    },
    {
        "id": "donchian_20_prior",
        "fn": "donchian",
        "inputs": {
            "hl": [
                [213.35, 211.52],
                [214.22, 213.15],
                [214.06, 213.02],
                [215.17, 213.42],
                [214.53, 213.91],
                [214.89, 213.52],
                [214.55, 213.13],
                [214.22, 212.53],
                [214.84, 214.17],
                [214.25, 213.33],
                [214.27, 213.42],
                [214.46, 212.96],
                [214.75, 213.49],
                [214.28, 212.83],
                [215.48, 213.77],
                [216.89, 215.89],
                [217.02, 216.36],
                [216.91, 216.12],
                [215.59, 213.9],
                [215.03, 213.82],
            ]
        },
        "expected": [217.02, 214.27, 211.52],
        "tolerance": 1e-09,
    },
    {
        "id": "pivot_std_2017_02",
        "fn": "pivot_std",
        "inputs": {"h": 217.02, "l": 211.52, "c": 214.96},
        "expected": {"pp": 214.5, "s1": 211.98, "s2": 209.0, "s3": 206.48, "r1": 217.48, "r2": 220.0, "r3": 222.98},
        "tolerance": 1e-09,
    },
    {
        "id": "vwap_2bars",
        "fn": "vwap",
        "inputs": {"hlcv": [[367.62, 367.36, 367.46, 407870], [367.48, 367.19, 367.19, 173406]]},
        "expected": [367.48, 367.4223],
        "tolerance": 5e-05,
    },
    {
        "id": "zigzag_0",
        "fn": "zigzag",
        "inputs": {"x": [1.0, 1.2, 1.05], "up": 0.1, "down": -0.1},
        "expected": [-1, 1, -1],
        "tolerance": 0,
    },
    {
        "id": "zigzag_2",
        "fn": "zigzag",
        "inputs": {"x": [1.0, 0.99, 1.1], "up": 0.1, "down": -0.1},
        "expected": [1, -1, 1],
        "tolerance": 0,
    },
    {
        "id": "zigzag_segments",
        "fn": "zigzag_segments",
        "inputs": {"x": [1.0, 1.05, 1.1, 1.0, 0.9, 1.5], "up": 0.1, "down": -0.1},
        "expected": [0.1, -0.181818, 0.6666666],
        "tolerance": 1e-06,
    },
    {
        "id": "vprofile_poc",
        "fn": "vprofile",
        "inputs": {"close": [100, 101, 100, 102, 101, 100], "vol": [120, 80, 100, 50, 90, 70], "step": 1},
        "expected": {"profile": {"100": 290, "101": 170, "102": 50}, "poc": 100},
        "tolerance": 0,
    },
    {
        "id": "swing_low_issue",
        "fn": "round_grid",
        "inputs": {"price": 67490, "step": 5000},
        "expected": [65000, 70000],
        "tolerance": 0,
    },
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_number(case):
    got, expected = ADAPTERS[case["fn"]](case["inputs"]), case["expected"]
    if isinstance(expected, dict):
        assert set(got) >= set(expected)
        for name, value in expected.items():
            assert got[name] == pytest.approx(value, rel=0, abs=case["tolerance"]), name
        return
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one == other if other is None else one == pytest.approx(other, rel=0, abs=case["tolerance"])
