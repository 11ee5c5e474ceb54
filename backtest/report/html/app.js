// The pages: one run, or several. Text from the data reaches the page as text only, never as markup.

// --- one run -----------------------------------------------------------------------------------------------------------

function runPage() {
  const equity = equityOf(data.equity), count = data.trades.n;
  const columns = ["number", "chart", "side", "in", "out", "inPrice", "outPrice", "pnl", "kind"];
  const trades = Object.fromEntries(columns.map((name) => [name, unpack(data.trades[name])]));
  const loaded = data.charts.map((packed, k) => lazily(() => barsOf(packed, k, trades, count, equity)));
  const state = { symbol: 0, chosen: -1, chart: null, redraw: () => {} };
  const current = () => (loaded.length ? loaded[state.symbol]() : equityBars(equity));

  function build(range) {
    const look = looks(), bars = current();
    state.chart?.remove();
    const chart = state.chart = makeChart(look);
    const panes = bars.close ? pricePanes(bars, trades, state, look) : equityPanes(bars, look);
    panes.forEach((pane, k) => addPane(chart, k, pane, bars.times, look));
    follow(chart, bars.times.length, bars.words, range);
  }

  function showSymbol(k) {
    state.symbol = k;
    const chooser = document.getElementById("symbol");
    if (chooser) chooser.value = String(k);
    build(null);
  }

  function show(symbol, from, to) { // a stretch of time, with what lies around it
    if (symbol !== state.symbol) showSymbol(symbol);
    const bars = current(), a = bars.bar(from), b = bars.bar(to), around = Math.max(18, 0.8 * (b - a));
    state.chart.timeScale().setVisibleLogicalRange({ from: a - around, to: b + around });
    const box = plot.getBoundingClientRect();
    if (box.top < 0 || box.bottom > innerHeight) plot.scrollIntoView({ block: box.height < innerHeight ? "nearest" : "start" });
  }

  function choose(i) {
    if (!(i >= 0 && i < count)) return;
    state.chosen = i;
    for (const row of document.querySelectorAll("tr.chosen")) { row.classList.remove("chosen"); row.removeAttribute("aria-current"); }
    const row = document.querySelector(`button[data-trade="${i}"]`)?.closest("tr"), frame = row?.closest(".frame");
    row?.classList.add("chosen");
    row?.setAttribute("aria-current", "true");
    if (frame) frame.scrollTop = Math.min(frame.scrollTop + row.offsetTop, Math.max(0, row.offsetTop - frame.clientHeight / 2));
    const t = trades, symbol = t.chart[i], ended = ["out", "stopped", "liquidated"][t.kind[i]];
    const left = ended ? `${ended} ${clock(t.out[i])} at ${price(t.outPrice[i])}` : "still open";
    const end = symbol < 0 ? "its symbol has no chart" : `PnL ${money(t.pnl[i])}`;
    say(`Trade ${t.number[i]}: ${t.side[i] > 0 ? "long" : "short"} from ${clock(t.in[i])} at ${price(t.inPrice[i])}, ${left}; ${end}.`);
    if (symbol >= 0) { show(symbol, t.in[i], t.out[i]); state.redraw(); }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-time]"), row = event.target.closest("table.trades tbody tr");
    if (button) {
      const k = Number(button.dataset.chart), at = Number(button.dataset.time) - 1;
      show(k, at, at + 24 * loaded[k]().step);
      say(`${data.charts[k].symbol} around ${clock(at + 1)}.`);
    } else if (row) {
      choose(Number(row.querySelector("button[data-trade]")?.dataset.trade ?? -1));
    }
  });
  document.getElementById("symbol")?.addEventListener("change", (event) => showSymbol(Number(event.target.value)));
  if (count && loaded.length) for (const name of ["before", "next"]) document.querySelector(`button[data-view="${name}"]`).hidden = false;
  const step = (by) => choose(state.chosen < 0 ? (by > 0 ? 0 : count - 1) : state.chosen + by);
  return { build, state, length: () => current().times.length, step };
}

function barsOf(packed, k, trades, count, equity) {
  const times = unpackTimes(packed.t), step = packed.t.step;
  const columns = ["open", "high", "low", "close", "volume", "open_interest", "longs", "shorts"];
  const found = Object.fromEntries(columns.map((name) => [name, unpack(packed[name])]));
  const bar = (time) => Math.max(0, positionAt(times, time));
  const place = (time) => { const i = bar(time); return i - 0.5 + Math.min(1, Math.max(0, (time - times[i]) / step)); };
  const worth = onto(times, step, equity.times, equity.values), down = onto(times, step, equity.times, equity.down);
  const funding = new Float64Array(times.length).fill(NaN), rates = unpack(packed.funding.rate);
  unpack(packed.funding.bar).forEach((at, i) => { funding[at] = rates[i]; });
  const there = { open_interest: someOf(found.open_interest), funding: someOf(funding), longs: someOf(found.longs), shorts: someOf(found.shorts) };
  const mine = [];
  for (let i = 0; i < count; i++) if (trades.chart[i] === k) mine.push(i);
  const digits = Math.max(0, digitsOf(found.close.reduce((a, b) => (b > a ? b : a), 0)) - 1);
  const words = (i) => [
    [packed.symbol, `${clock(times[i])} UTC`], ["O", price(found.open[i])], ["H", price(found.high[i])], ["L", price(found.low[i])],
    ["C", price(found.close[i])], ["volume", short(found.volume[i])],
    ...(there.open_interest ? [["open interest", short(found.open_interest[i])]] : []),
    ...(funding[i] === funding[i] ? [["funding", percent(funding[i])]] : []),
    ...(there.longs ? [["longs liquidated", short(found.longs[i])]] : []),
    ...(there.shorts ? [["shorts liquidated", short(found.shorts[i])]] : []),
    ["equity", money(worth[i])], ["drawdown", percent(down[i])],
  ];
  const axis = known((value) => grouped(value, digits));
  return { ...found, axis, symbol: packed.symbol, unit: packed.unit, there, levels: packed.levels, times, step, bar, place, worth, down, funding, trades: mine, words };
}

function equityBars(one) {
  const words = (i) => [["", `${clock(one.times[i])} UTC`], ["equity", money(one.values[i])], ["drawdown", percent(one.down[i])]];
  return { times: one.times, step: one.step, worth: one.values, down: one.down, trades: [], words };
}

function equityPanes(bars, look) {
  return [
    { title: "Equity", height: 100, format: money, curves: [{ values: bars.worth, style: "line", colour: look.accent, width: 2 }] },
    { title: "Drawdown", height: 74, format: percent, least: 0.001, curves: [{ values: bars.down, style: "under", colour: look.down, from: 0 }] },
  ];
}

function pricePanes(bars, trades, state, look) {
  const panes = [{ title: `${bars.symbol}, price and volume`, height: 300, candles: (chart, k) => drawPrices(chart, k, bars, trades, state, look) }];
  if (bars.there.open_interest) {
    const curves = [{ values: bars.open_interest, style: "line", colour: look.mark, width: 1 }];
    panes.push({ title: `Open interest${bars.unit ? `, ${bars.unit === "usd" ? "USD" : bars.unit}` : ""}`, height: 70, format: short, curves });
  }
  if (bars.there.funding) {
    const curves = [{ values: bars.funding, style: "bars", colour: look.down, below: look.up, from: 0 }];
    panes.push({ title: "Funding, paid by longs", height: 64, format: percent, least: 1e-7, curves });
  }
  if (bars.there.longs || bars.there.shorts) {
    const curves = [
      { values: bars.shorts, style: "bars", colour: look.up, from: 0 }, { values: bars.longs.map((v) => -v), style: "bars", colour: look.down, from: 0 },
    ];
    panes.push({ title: "Liquidations, USD: shorts above, longs below", height: 78, format: (v) => short(Math.abs(v)), curves });
  }
  return [...panes, ...equityPanes(bars, look)];
}

function drawPrices(chart, pane, bars, trades, state, look) {
  const candles = chart.addSeries(LWC.CandlestickSeries, {
    ...quiet, upColor: look.paper, borderUpColor: look.up, wickUpColor: look.up, downColor: look.down, borderDownColor: look.down,
    wickDownColor: look.down, priceFormat: format(bars.axis, 1e-6),
  }, pane);
  const { times, open, high, low, close } = bars, shown = new Array(times.length);
  for (let k = 0; k < times.length; k++) { // a bar without a price keeps its place on the axis
    shown[k] = close[k] === close[k] ? { time: times[k], open: open[k], high: high[k], low: low[k], close: close[k] } : { time: times[k] };
  }
  candles.setData(shown);
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.07, bottom: 0.18 } });
  candles.attachPrimitive(new Drawing(volumeDrawing(bars.volume, look), "bottom"));
  candles.attachPrimitive(new Drawing(levelDrawing(bars, look), "normal"));
  candles.attachPrimitive(new Drawing(tradeDrawing(bars, trades, state, look), "top"));
  candles.attachPrimitive(new Drawing(labelDrawing(bars, look), "top"));
  state.redraw = () => candles.applyOptions({});
  return candles;
}

// --- several runs ------------------------------------------------------------------------------------------------------

function comparisonPage() {
  const runs = data.runs.map(equityOf), state = { chart: null }, hidden = new Set();
  const alike = runs.every((run) => run.times.length === runs[0].times.length && run.times.every((time, i) => time === runs[0].times[i]));
  const times = alike ? runs[0].times : Float64Array.from(new Set(runs.flatMap((run) => [...run.times]))).sort();
  const along = (run, values) => { // on the bars of all; between two bars of a coarser run its last value
    if (alike) return values;
    const found = new Float64Array(times.length).fill(NaN), end = run.times[run.times.length - 1];
    for (let k = 0, i = -1; k < times.length && times[k] <= end; k++) {
      while (i + 1 < run.times.length && run.times[i + 1] <= times[k]) i++;
      if (i >= 0) found[k] = values[i];
    }
    return found;
  };
  const worth = runs.map((run) => along(run, run.values.map((v) => v / run.cash))), down = runs.map((run) => along(run, run.down));

  function build(range) {
    const look = looks();
    state.chart?.remove();
    const chart = state.chart = makeChart(look);
    const curves = (all) => all.map((values, k) => ({ values, style: "line", colour: colour(`run-${k % 8}`), width: 1.8, dash: k < 8 ? [] : [5, 3], hidden: hidden.has(k) }));
    addPane(chart, 0, { title: "Equity, multiples of the starting cash", height: 140, format: multiple, least: 0.001, curves: curves(worth) }, times, look);
    addPane(chart, 1, { title: "Drawdown", height: 90, format: percent, least: 0.001, curves: curves(down) }, times, look);
    const words = (i) => [["", `${clock(times[i])} UTC`], ...data.runs.map((run, k) => [run.name, `${multiple(worth[k][i])} (${percent(down[k][i])})`])];
    follow(chart, times.length, words, range);
  }

  for (const box of document.querySelectorAll("input[data-run]")) {
    box.addEventListener("change", () => {
      box.checked ? hidden.delete(Number(box.dataset.run)) : hidden.add(Number(box.dataset.run));
      build(state.chart.timeScale().getVisibleLogicalRange());
    });
  }
  return { build, state, length: () => times.length, step: () => {} };
}

// --- moving about ------------------------------------------------------------------------------------------------------

function follow(chart, length, words, range) { // tell what is under the crosshair, and show a range or all
  const at = (bar) => tell(words(Math.min(length - 1, Math.max(0, bar))));
  chart.subscribeCrosshairMove((event) => at(event.logical == null ? length - 1 : Math.round(event.logical)));
  at(length - 1);
  range ? chart.timeScale().setVisibleLogicalRange(range) : showAll(chart, length);
}

function showAll(chart, length) { chart.timeScale().setVisibleLogicalRange({ from: -0.5, to: Math.max(length, 12) - 0.5 }); }

function move(page, by, zoom) { // by: a share of what is shown; zoom: above 1 shows more
  const now = page.state.chart.timeScale().getVisibleLogicalRange();
  if (!now) return;
  const width = now.to - now.from, middle = (now.from + now.to) / 2 + by * width, half = Math.max(4, width * zoom) / 2;
  page.state.chart.timeScale().setVisibleLogicalRange({ from: middle - half, to: middle + half });
}

function steer(page) {
  const views = {
    all: () => showAll(page.state.chart, page.length()), in: () => move(page, 0, 0.6), out: () => move(page, 0, 1 / 0.6),
    back: () => move(page, -0.25, 1), on: () => move(page, 0.25, 1), before: () => page.step(-1), next: () => page.step(1),
  };
  const keys = { ArrowLeft: "back", ArrowRight: "on", "+": "in", "=": "in", ArrowUp: "in", "-": "out", ArrowDown: "out", Home: "all", n: "next", p: "before" };
  for (const button of document.querySelectorAll("button[data-view]")) button.addEventListener("click", () => views[button.dataset.view]());
  plot.addEventListener("keydown", (event) => {
    const view = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
    if (view) { event.preventDefault(); views[view](); }
  });
  const wheel = (on) => page.state.chart.applyOptions({ handleScroll: { mouseWheel: on, vertTouchDrag: false }, handleScale: { mouseWheel: on } });
  plot.addEventListener("pointerdown", () => plot.focus({ preventScroll: true }));
  plot.addEventListener("focus", () => wheel(true)); // until then the wheel moves the page
  plot.addEventListener("blur", () => wheel(false));
}

function printing(page) { // on paper everything is open, and the chart a picture in the light colours
  let paper = null, folded = [];
  const again = () => page.build(page.state.chart.timeScale().getVisibleLogicalRange());
  addEventListener("beforeprint", () => {
    root.dataset.print = "";
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
    again();
    paper = document.createElement("div");
    paper.className = "print-chart";
    paper.append(page.state.chart.takeScreenshot());
    plot.after(paper);
  });
  addEventListener("afterprint", () => {
    delete root.dataset.print;
    for (const one of folded) one.open = false;
    paper?.remove();
    again();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

if (plot) {
  const page = data.kind === "run" ? runPage() : comparisonPage();
  page.build(null);
  steer(page);
  printing(page);
  requestAnimationFrame(() => requestAnimationFrame(() => { root.dataset.drawn = String(Math.round(performance.now())); }));
  const range = () => page.state.chart.timeScale().getVisibleLogicalRange();
  window.report = { data, range, state: page.state, unpack, unpackTimes }; // for whoever looks closer in the console
} else {
  root.dataset.drawn = "nothing";
}
