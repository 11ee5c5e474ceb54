"""Where a declared series comes from: a file, the store or a simulated scenario, each opened once a load."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.errors import MarketError, did_you_mean
from backtest.market.declare import Source
from backtest.market.read import Columns, Table, columns_of, open_table, plain, store_entry, value_columns
from backtest.market.validate import count
from backtest.model.market import Feed

if TYPE_CHECKING:
    from backtest.market.scenario import Simulated

__all__ = ["PRICES", "Sources"]

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Sources:
    """The series of one market; folder: what paths start from; market: its name, for messages; seed: of scenarios."""

    folder: Path
    market: str
    seed: int | None = None
    tables: dict[Path, Table] = field(default_factory=dict)
    simulations: dict[str, Any] = field(default_factory=dict)

    def simulation(self, name: str) -> "Simulated":
        """Return a scenario, simulated once."""
        if name not in self.simulations:
            from backtest.market.scenario import simulate

            self.simulations[name] = simulate(str(self.folder / name) if name.endswith(".toml") else name, self.seed)
        found: Simulated = self.simulations[name]
        return found

    def table(self, source: Source, entry: str | Path) -> Table:
        """Return the table of a file or of a store entry, read once; entry: its name, or its place in the store."""
        if source.file is None and isinstance(entry, Path):
            return self.stored_at(entry)
        if source.file is None:
            return self.stored_at(store_entry(source.store or "", str(entry), self.market))
        path = self.folder / source.file
        if path not in self.tables:
            self.tables[path] = open_table(path)
        return self.tables[path]

    def stored(self, source: str, symbol: str, kind: str, interval: int) -> Table:
        """Return the table of a stored series, as its source spells it, read once; interval in ns, 0 for stamps."""
        from backtest.market.store.entry import entry_name, file_name

        fetched = entry_name(symbol, kind, interval)
        return self.stored_at(store_entry(source, file_name(symbol, kind, interval), self.market, fetched))

    def stored_at(self, path: Path) -> Table:
        """Return the table at a place of the store, read and checked once."""
        if path not in self.tables:
            self.tables[path] = stored_table(path)
        return self.tables[path]

    def bars(self, symbol: str, source: Source, entry: str | Path) -> Columns:
        """Return open, high, low, close and volume of a symbol."""
        if source.scenario is not None:
            world, j = self.column(source.scenario, symbol)
            values = {k: np.ascontiguousarray(getattr(world, k)[:, j]) for k in (*PRICES, "volume")}
            return Columns(np.asarray(world.time), values, f"scenario:{source.scenario}")
        return columns_of(self.table(source, entry), (*PRICES, "volume"), named=source.columns, tz=source.tz)

    def mark(self, symbol: str, source: Source, entry: str | Path) -> Columns:
        """Return the mark's open, high, low, close; of a file with one price a bar, flat bars."""
        if source.scenario is not None:
            world, j = self.column(source.scenario, symbol)
            if world.mark is None:
                raise MarketError(f"{symbol}.mark: the scenario {source.scenario} has no mark prices.")
            values = {k: np.ascontiguousarray(getattr(world.mark, k)[:, j]) for k in PRICES}
            return Columns(np.asarray(world.time), values, f"scenario:{source.scenario}")
        table = self.table(source, entry)
        named = source.columns | ({"price": source.column} if source.column else {})
        if "price" not in named and {"open", "high", "low"} <= {plain(c) for c in table.data.column_names} | set(named):
            return columns_of(table, PRICES, named=named, tz=source.tz)
        single = columns_of(table, ("price",), named=named, tz=source.tz)
        price = single.values["price"]
        note = f"{symbol}.mark has one price a bar, taken for all of the bar ({count(price.size, 'bar')})."
        values = dict.fromkeys(PRICES, price)
        return Columns(single.time, values, single.source, (*single.findings, note))

    def funding(self, symbol: str, source: Source, entry: str | Path) -> Columns:
        """Return the rate (fraction) and the settlement mark of each funding stamp, NaN where there is no mark."""
        if source.scenario is not None:
            world, j = self.column(source.scenario, symbol)
            mine = world.funding.symbol == j
            values = {"rate": world.funding.rate[mine], "mark": world.funding.mark[mine]}
            return Columns(world.funding.time[mine], values, f"scenario:{source.scenario}")
        named = source.columns | ({"rate": source.column} if source.column else {})
        found = columns_of(self.table(source, entry), ("rate",), optional=("mark",), named=named, tz=source.tz)
        scale = 100.0 if source.unit == "percent" else 1.0
        mark = found.values.get("mark", np.full(found.time.size, np.nan))
        return Columns(found.time, {"rate": found.values["rate"] / scale, "mark": mark}, found.source, found.findings)

    def feed(self, source: Source, entry: str | Path) -> Columns:
        """Return the values of a feed's file at their stamps."""
        table = self.table(source, entry)
        named = source.columns | ({"value": source.column} if source.column else {})
        if "value" not in named and len(others := value_columns(table)) == 1:
            named["value"] = others[0]
        return columns_of(table, ("value",), named=named, tz=source.tz)

    def simulated_feed(self, scenario: str, name: str) -> Feed:
        """Return a feed of a scenario."""
        feeds = self.simulation(scenario).feeds
        if name not in feeds:
            raise MarketError(f"The scenario {scenario} has no feed named {name!r}.{did_you_mean(name, feeds)}")
        return feeds[name]

    def column(self, scenario: str, symbol: str) -> tuple["Simulated", int]:
        """Return a scenario and the column of a symbol in it."""
        world = self.simulation(scenario)
        if symbol not in world.symbols:
            raise MarketError(f"The scenario {scenario} has no symbol {symbol!r}.{did_you_mean(symbol, world.symbols)}")
        return world, world.symbols.index(symbol)


def stored_table(path: Path) -> Table:
    """Return a series of the store as a table: one with a manifest checked against it, or a file placed by hand."""
    if not path.is_dir():
        table = open_table(path)
        note = f"{path.parent.name}/{path.name} was placed in the store by hand; nothing shows whether it was changed."
        return replace(table, findings=(*table.findings, note))
    from backtest.market.store.entry import read_entry
    from backtest.market.store.partitions import arrow
    from backtest.market.store.provenance import findings_of, source_of

    entry = read_entry(path)
    rows = entry.read()
    if not rows["time"].size:
        raise MarketError(f"{entry.label}: nothing of it is stored yet; fetch it.")
    return Table(source_of(entry.label, entry.manifest), arrow(rows), findings_of(entry.label, entry.manifest))
