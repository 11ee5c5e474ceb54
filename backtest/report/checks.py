"""What a check came to, in the terminal. A check is plain data, as in its JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.report import words
from backtest.report.columns import Column, table_of
from backtest.report.terminal import facts, line, strategy_name, title

__all__ = ["print_checks", "print_comparison", "print_conformance", "print_foresight", "print_parts"]

ENGINES = ("fast", "backtrader")


def print_checks(found: Mapping[str, Any], console: Console) -> None:
    """Print what one or several checks came to: a check's own document, or one that holds several."""
    printers = {
        "conformance": print_conformance,
        "foresight": print_foresight,
        "engines": print_comparison,
        "parts": print_parts,
    }
    documents = found.get("checks", [found])
    for i, document in enumerate(documents):
        if i:
            console.print()
        printers[document["check"]](document, console)
    for check, why in (found["left_out"] if "checks" in found else {}).items():
        console.print()
        line(Text(f"The check of the {check} was left out: {why}.", "dim"), console)
    if len(documents) > 1:
        console.print()
        text, style = ("Every check passed.", "bold green") if found["passes"] else ("A check failed.", "bold red")
        line(Text(text, style), console)


def print_conformance(found: Mapping[str, Any], console: Console) -> None:
    """Print the rules of strategies, each with whether it is kept, and what was found where it is not."""
    heading(found, "conformance", console)
    for finding in found["findings"]:
        mark = Text("  kept    ", "green") if finding["passes"] else Text("  broken  ", "bold red")
        console.print(Text.assemble(mark, finding["rule"]), no_wrap=True, crop=False)
        if not finding["passes"]:
            line(f"{finding['told']}.", console, " " * 10)


def print_foresight(found: Mapping[str, Any], console: Console) -> None:
    """Print where the future was taken away, and for each market the first row that changed, with both values."""
    heading(found, "no look-ahead", console)
    markets = [one["market"] for one in found["markets"]]
    counts = ([f"{one[name]:,}" for one in found["markets"]] for name in ("bars", "rows", "cuts"))
    names = Column("market", [words.printable(m) for m in markets], left=True)
    console.print(table_of([names, *map(Column, ("bars", "rows", "cuts"), counts)]))
    console.print()
    if found["passes"]:
        line(Text("No row changed when the future was taken away, or was another.", style="green"), console)
        if not any(one["rows"] for one in found["markets"]):
            line(Text("There was no row, so that says little; do its parameters suit these prices?", "yellow"), console)
        return
    line(Text("It looks ahead.", style="bold red"), console)
    for one in found["glimpses"]:
        print_glimpse(one, console)


def print_glimpse(one: Mapping[str, Any], console: Console) -> None:
    title(f"{one['market']}: {one['how']} after bar {one['cut'] - 1:,} ({one['cut_time']})", console)
    place = [f"  {one['what']} at bar {one['bar']:,}", one["time"], *([one["symbol"]] if one["symbol"] else [])]
    facts([*place, one["column"]], " · ", console)
    for name, value in (("with the future", one["with_future"]), ("without it", one["without"])):
        line(f"{name:<15}  {number_words(value)}", console, "    ")


def print_parts(found: Mapping[str, Any], console: Console) -> None:
    """Print the detectors and signals that were asked, one a row, then what was found wrong, then what was left out."""
    parts = found["parts"]
    line(Text.assemble("detectors and signals", (f" · {words.printable(found['market'])}", "bold")), console)
    if parts:
        console.print(table_of(parts_columns(parts)))
        console.print()
    for one in parts:
        print_wrong(one, console)
    for name, why in found["left_out"].items():
        line(Text(f"{name} was left out. {why}", "dim"), console)
    if found["left_out"]:
        console.print()
    text, style = parts_verdict(parts, found["passes"])
    line(Text(text, style), console)


def parts_columns(parts: Sequence[Mapping[str, Any]]) -> list[Column]:
    names = Column("name", [one["name"] for one in parts], left=True)
    columns = [names, Column("kind", [one["kind"] for one in parts], left=True, spare=True)]
    if "foresight" in parts[0]:
        looked = [one["foresight"]["markets"] for one in parts]
        sums = ((count, [sum(market[count] for market in one) for one in looked]) for count in ("rows", "cuts"))
        columns += [Column(count, [f"{total:,}" for total in totals]) for count, totals in sums]
    for check, header, well, badly in VERDICTS:
        if check in parts[0]:
            good = [one[check]["passes"] for one in parts]
            cells, styles = [well if g else badly for g in good], ["green" if g else "bold red" for g in good]
            columns.append(Column(header, cells, styles, left=True))
    return columns


VERDICTS = (("foresight", "look-ahead", "none", "looks ahead"), ("conformance", "rules", "kept", "broken"))


def print_wrong(one: Mapping[str, Any], console: Console) -> None:
    if not one.get("foresight", {"passes": True})["passes"]:
        line(Text.assemble((words.printable(one["name"]), "bold"), " looks ahead."), console)
        for glimpse in one["foresight"]["glimpses"]:
            print_glimpse(glimpse, console)
        console.print()
    for finding in one.get("conformance", {"findings": ()})["findings"]:
        if not finding["passes"]:
            line(Text.assemble((words.printable(one["name"]), "bold"), f" breaks a rule, {finding['rule']}:"), console)
            line(f"{finding['told']}.", console, " " * 4)
            console.print()


def parts_verdict(parts: Sequence[Mapping[str, Any]], passes: bool) -> tuple[str, str]:
    if not parts:
        return "Nothing could be checked on this market.", "yellow"
    if passes:
        return f"All {len(parts)} passed." if len(parts) > 1 else "It passed.", "green"
    return f"{sum(not one['passes'] for one in parts)} of {len(parts)} failed.", "bold red"


def heading(found: Mapping[str, Any], what: str, console: Console) -> None:
    line(Text.assemble((words.printable(strategy_name(found["strategy"])), "bold"), f" · {what}"), console)


def print_comparison(found: Mapping[str, Any], console: Console) -> None:
    """Print what two engines made of one plan: how much there was, how far apart they are, and where they first differ."""
    console.print(Text(words.printable(strategy_name(found["strategy"])), style="bold"))
    span = words.span_words(found["start"], found["end"])
    bars = f"{max(found['bars']):,} bars of {words.interval_words(found['interval'])}"
    facts((found["market"], ", ".join(found["symbols"]), span, bars), " · ", console)
    facts((found["venue"], f"cash {found['cash']:,.10g}", *account_words(found)), " · ", console, "dim")
    facts((f"{k}={words.value_words(v)}" for k, v in found["parameters"].items()), "  ", console, "dim")
    console.print()
    console.print(table_of(columns(found)))
    console.print()
    print_distance(found, console)
    print_verdict(found, console)


def account_words(found: Mapping[str, Any]) -> list[str]:
    given = {**found["account"], **{name: found[name] for name in ("seed", "assume_funding")}}
    pairs = {name: value for name, value in given.items() if name != "cash" and value is not None}
    return [f"{name.replace('_', ' ')} {words.value_words(value)}" for name, value in pairs.items()]


def columns(found: Mapping[str, Any]) -> list[Column]:
    counts = {"bars": "bars", "trades": "trades", "ledger_rows": "ledger rows", "rejections": "orders refused"}
    cells = [[f"{found[name][k]:,}" for name in counts] for k in range(len(ENGINES))]
    for column, equity in zip(cells, words.money(found["final_equity"]), strict=True):
        column.append(equity)
    names = Column("engine", [*counts.values(), "final equity"], left=True)
    return [names, *(Column(engine, column) for engine, column in zip(ENGINES, cells, strict=True))]


def print_distance(found: Mapping[str, Any], console: Console) -> None:
    equity, ledger, tolerance = (found[name] for name in ("equity_difference", "ledger_difference", "tolerance"))
    told = f"Largest differences, quote units: {equity:.2g} of equity at a close, {ledger:.2g} of a ledger amount; "
    line(Text(f"{told}{tolerance * found['cash']:.2g} is allowed, {tolerance:g} of the cash.", style="dim"), console)


def print_verdict(found: Mapping[str, Any], console: Console) -> None:
    first = found["first"]
    if first is None:
        line(Text("The engines agree: the same trades, ledger, refused orders and equity.", style="green"), console)
        if not any((*found["trades"], *found["rejections"])):
            line(
                Text("Nothing was traded, so that says little; do its parameters suit these prices?", "yellow"), console
            )
        return
    line(Text("The engines differ.", style="bold red"), console)
    title("The first difference", console)
    place = [f"bar {first['bar']:,}", first["time"], *([first["symbol"]] if first["symbol"] else []), first["rule"]]
    facts([f"  {place[0]}", *place[1:]], " · ", console)
    line(f"{first['what']}:", console, "  ")
    for engine in ENGINES:
        line(f"{engine:<10}  {number_words(first[engine])}", console, "    ")


def number_words(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else words.printable(value)
