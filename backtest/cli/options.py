"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "AssumeFunding",
    "Cash",
    "DataFolder",
    "Draw",
    "Intrabar",
    "Jobs",
    "Json",
    "Latin",
    "Leverage",
    "Margin",
    "MarketName",
    "Parameters",
    "Random",
    "Results",
    "Seed",
    "TimeLimit",
    "VenueName",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Folder of runs; else $BACKTEST_RESULTS, else ./results."),
]

MarketName = Annotated[
    str | None,
    typer.Option("--market", "-m", help="A declared market's name, or a TOML file; else deleveraging-2026."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter, e.g. levels=75000,70000; repeatable."),
]
VenueName = Annotated[str | None, typer.Option("--venue", help="A venue's name, or a TOML file; else binance-usdm.")]
Cash = Annotated[float | None, typer.Option("--cash", help="Wallet at the start, quote units.")]
Leverage = Annotated[float | None, typer.Option("--leverage", help="The venue's leverage setting (not the exposure).")]
Margin = Annotated[Literal["isolated", "cross"] | None, typer.Option("--margin", help="Margin mode.")]
Intrabar = Annotated[
    Literal["worst", "best", "fine"] | None,
    typer.Option("--intrabar", help="Which of two events inside a bar comes first."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of a simulated market.")]
AssumeFunding = Annotated[
    float | None,
    typer.Option(
        "--assume-funding", metavar="RATE", help="Rate for missing funding stamps, a fraction; flagged in the result."
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Folder of fetched data; else $BACKTEST_DATA, else ./data or the user's own."
    ),
]

# --- of what tries many points ---

Random = Annotated[int | None, typer.Option("--random", metavar="N", help="Draw N points of the grid.")]
Latin = Annotated[int | None, typer.Option("--latin", metavar="N", help="Draw N points as a Latin hypercube.")]
Draw = Annotated[int, typer.Option("--draw", metavar="N", help="Number of the draw, for --random and --latin.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Processes that work on it.")]
TimeLimit = Annotated[float, typer.Option("--time-limit", metavar="SECONDS", help="Longest time for one point.")]
