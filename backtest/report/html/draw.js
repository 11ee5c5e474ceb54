// How things look: the chart's frame, and what is drawn into its panes. lightweight-charts has the axes, the crosshair, the
// zoom and the candles; lines, bars, levels and marks are drawn from typed arrays, since a series of its own for each of them
// makes 70,000 bars wait.

const LWC = window.LightweightCharts;
const LOOKS = ["paper", "ink", "dim", "rule", "faint", "up", "down", "level", "flipped", "mark", "liquidated", "band", "accent"];
const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const looks = () => Object.fromEntries(LOOKS.map((name) => [name, colour(name)]));
const faded = (hex, share) => hex + Math.round(255 * share).toString(16).padStart(2, "0"); // "#rrggbb" with an opacity
const narrow = () => plot.clientWidth < 560;
const quiet = { lastValueVisible: false, priceLineVisible: false };
const format = (formatter, minMove = 0.01) => ({ type: "custom", formatter, minMove });

function makeChart(look) {
  const line = { color: look.dim, labelBackgroundColor: look.dim };
  return LWC.createChart(plot, {
    autoSize: true,
    layout: {
      attributionLogo: false, // the notice and the link stand below the chart
      background: { type: "solid", color: look.paper }, textColor: look.dim, fontSize: narrow() ? 10 : 11,
      fontFamily: getComputedStyle(document.body).fontFamily, panes: { separatorColor: look.rule, separatorHoverColor: look.faint },
    },
    grid: { vertLines: { color: look.faint }, horzLines: { color: look.faint } },
    crosshair: { mode: LWC.CrosshairMode.Normal, vertLine: line, horzLine: line },
    rightPriceScale: { borderColor: look.rule, minimumWidth: narrow() ? 46 : 64 },
    timeScale: {
      borderColor: look.rule, timeVisible: true, minBarSpacing: 0.001, rightOffset: 0, enableConflation: true,
      lockVisibleTimeRangeOnResize: true,
    },
    handleScroll: { vertTouchDrag: false, mouseWheel: false },
    handleScale: { mouseWheel: false },
    localization: { locale: "en-US" },
  });
}

class Drawing { // a primitive of lightweight-charts: a function that draws with the pane's coordinates
  constructor(draw, order) {
    this.draw = draw;
    const paint = (target) => target.useMediaCoordinateSpace((scope) => this.paint(scope));
    this.views = [{ zOrder: () => order, renderer: () => ({ draw: paint }) }];
  }
  attached(to) { this.to = to; }
  detached() { this.to = null; }
  updateAllViews() {}
  paneViews() { return this.views; }
  paint({ context, mediaSize }) {
    if (!this.to) return;
    const time = this.to.chart.timeScale(), series = this.to.series;
    const zero = time.logicalToCoordinate(0), spacing = (time.logicalToCoordinate(100000) - zero) / 100000; // for parts of a bar it says 0
    this.draw(context, mediaSize, (bar) => zero + bar * spacing, (value) => series.priceToCoordinate(value), spacing);
  }
}

// A pane: its title, its height, and either candles or `curves`, each { values, style, colour, ... } over the chart's bars.
function addPane(chart, k, pane, times, look) {
  const shown = pane.candles ? pane.candles(chart, k) : addCurves(chart, k, pane, times);
  chart.panes()[k].setStretchFactor(pane.height);
  if (!pane.candles) shown.priceScale().applyOptions({ scaleMargins: { top: 0.24, bottom: 0.08 } }); // room for the title
  LWC.createTextWatermark(chart.panes()[k], {
    horzAlign: "left", vertAlign: "top", lines: [{ text: pane.title, color: look.dim, fontSize: 11, lineHeight: 16 }],
  });
}

function addCurves(chart, k, pane, times) { // a series without a line of its own keeps the axis; the curves are drawn
  const span = () => extremes(chart.timeScale().getVisibleLogicalRange(), pane.curves.filter((curve) => !curve.hidden));
  const series = chart.addSeries(LWC.LineSeries, {
    ...quiet, lineVisible: false, crosshairMarkerVisible: false, priceFormat: format(pane.format, pane.least ?? 0.01),
    autoscaleInfoProvider: () => ({ priceRange: span() }),
  }, k);
  const last = times.length - 1;
  series.setData(k === 0 ? Array.from(times, (time, i) => (i && i < last ? { time } : { time, value: 0 })) : [{ time: times[0], value: 0 }, ...(last ? [{ time: times[last], value: 0 }] : [])]);
  series.attachPrimitive(new Drawing((c, size, x, y, spacing) => {
    const a = Math.max(0, Math.floor(-x(0) / spacing) - 1), b = Math.min(last, Math.ceil((size.width - x(0)) / spacing) + 1);
    const { minValue, maxValue } = span(), bottom = y(minValue), slope = (y(maxValue) - bottom) / (maxValue - minValue);
    const scale = { x, y: (value) => bottom + (value - minValue) * slope, spacing, a, b };
    for (const curve of pane.curves) if (!curve.hidden) PENS[curve.style](c, curve, scale);
  }, "normal"));
  return series;
}

function extremes(range, curves) { // lowest and highest of what is in view, never the same
  let low = Infinity, high = -Infinity;
  for (const { values, from } of curves) {
    const a = Math.max(0, Math.floor(range?.from ?? 0)), b = Math.min(values.length - 1, Math.ceil(range?.to ?? values.length));
    for (let i = a; i <= b; i++) {
      if (values[i] < low) low = values[i];
      if (values[i] > high) high = values[i];
    }
    if (from !== undefined) { low = Math.min(low, from); high = Math.max(high, from); }
  }
  if (!(low <= high)) return { minValue: 0, maxValue: 1 };
  const spare = high > low ? 0 : Math.abs(high) * 0.01 || 0.01;
  return { minValue: low - spare, maxValue: high + spare };
}

const PENS = { // each draws bars a to b; of bars that share a column of pixels, the column's lowest and highest
  line(c, { values, colour, width = 1.5, dash = [] }, { x, y, spacing, a, b }) {
    c.beginPath();
    trace(c, values, x, y, spacing, a, b);
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.lineJoin = "round";
    c.setLineDash(dash);
    c.stroke();
    c.setLineDash([]);
  },
  under(c, { values, colour, from }, { x, y, spacing, a, b }) { // a line, and the area between it and a value
    let first = a, last = b;
    while (first < b && values[first] !== values[first]) first++;
    while (last > a && values[last] !== values[last]) last--;
    c.beginPath();
    c.moveTo(x(first), y(from));
    trace(c, values, x, y, spacing, first, last, true);
    c.lineTo(x(last), y(from));
    c.closePath();
    c.fillStyle = faded(colour, 0.22);
    c.fill();
    PENS.line(c, { values, colour, width: 1 }, { x, y, spacing, a, b });
  },
  bars(c, { values, colour, below = colour, from = 0 }, { x, y, spacing, a, b }) {
    const width = Math.max(1, Math.min(24, 0.7 * spacing)), zero = y(from);
    for (let i = a; i <= b;) {
      const column = Math.floor(x(i));
      let most = 0;
      do { if (Math.abs(values[i]) > Math.abs(most)) most = values[i]; i++; } while (i <= b && spacing < 1 && Math.floor(x(i)) === column);
      if (!most) continue;
      const end = y(most), left = spacing < 1 ? column : x(i - 1) - width / 2;
      c.fillStyle = most < 0 ? below : colour;
      c.fillRect(left, Math.min(zero, end), width, Math.max(1, Math.abs(end - zero)));
    }
  },
};

function trace(c, values, x, y, spacing, a, b, on = false) { // on: the path goes on from where it is
  for (let i = a; i <= b; i++) {
    if (values[i] !== values[i]) { on = false; continue; }
    if (spacing >= 1) {
      on ? c.lineTo(x(i), y(values[i])) : c.moveTo(x(i), y(values[i]));
    } else {
      const column = Math.floor(x(i)), first = values[i];
      let low = first, high = first, last = first;
      while (i + 1 <= b && Math.floor(x(i + 1)) === column && values[i + 1] === values[i + 1]) {
        last = values[++i];
        if (last < low) low = last;
        if (last > high) high = last;
      }
      on ? c.lineTo(column, y(first)) : c.moveTo(column, y(first));
      if (high > low) { c.lineTo(column, y(high)); c.lineTo(column, y(low)); }
      c.lineTo(column, y(last));
    }
    on = true;
  }
}

// --- levels and trades, on the pane of the prices ---------------------------------------------------------------------

const STROKES = {
  active: { dash: [6, 4], width: 1.2 }, tested: { dash: [], width: 1.7 }, broken: { dash: [1.5, 4], width: 1.4 },
  reclaimed: { dash: [14, 4], width: 1.7 }, flipped: { dash: [9, 3, 2, 3], width: 1.5 },
};

function levelDrawing(bars, look) {
  return (c, size, x, y) => {
    const labels = [];
    for (const level of bars.levels) {
      const at = y(level.price);
      if (at === null || at < -2 || at > size.height + 2) continue;
      let left = Infinity;
      for (const [start, end, state] of level.parts) {
        const a = x(bars.place(start)), b = x(bars.place(end)), stroke = STROKES[state] ?? STROKES.active;
        if (b < 0 || a > size.width) continue;
        c.setLineDash(stroke.dash);
        c.lineWidth = stroke.width;
        c.strokeStyle = state === "flipped" ? look.flipped : look.level;
        c.beginPath();
        c.moveTo(Math.max(a, -20), at);
        c.lineTo(Math.min(b, size.width + 20), at);
        c.stroke();
        c.setLineDash([]);
        if (a > 0) { c.beginPath(); c.moveTo(a, at - 3.5); c.lineTo(a, at + 3.5); c.stroke(); }
        left = Math.min(left, Math.max(a, 4));
      }
      if (left < size.width - 40 && labels.every((one) => Math.abs(one.at - at) > 13 || Math.abs(one.left - left) > 110)) labels.push({ left, at, text: level.label });
    }
    bars.labels = labels;
  };
}

function labelDrawing(bars, look) { // what `levelDrawing` found room for, above the candles and marks
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return (c) => {
    Object.assign(c, { font, textBaseline: "bottom", textAlign: "left", lineJoin: "round", lineWidth: 4, strokeStyle: look.paper, fillStyle: look.level });
    for (const { left, at, text } of bars.labels ?? []) {
      c.strokeText(text, left + 4, at - 2);
      c.fillText(text, left + 4, at - 2);
    }
  };
}

function volumeDrawing(values, look) { // in the lowest seventh of the pane
  return (c, size, x, y, spacing) => {
    const last = values.length - 1, a = Math.max(0, Math.floor(-x(0) / spacing)), b = Math.min(last, Math.ceil((size.width - x(0)) / spacing));
    const { maxValue } = extremes({ from: a, to: b }, [{ values, from: 0 }]);
    const scale = { x, y: (value) => size.height - value / maxValue * size.height / 7, spacing, a, b };
    PENS.bars(c, { values, colour: faded(look.dim, 0.35) }, scale);
  };
}

const MARKS = { // where, and how large
  in(c, x, y, r, look, side) { // a long points up from below its price, a short down from above it
    const away = side > 0 ? 1.7 * r : -1.7 * r;
    c.moveTo(x, y);
    c.lineTo(x + r, y + away);
    c.lineTo(x - r, y + away);
    c.closePath();
    c.fillStyle = side > 0 ? look.up : look.down;
    c.strokeStyle = look.paper;
    c.lineWidth = 1.5;
    c.stroke();
    c.fill();
  },
  0(c, x, y, r, look) { // an exit
    c.arc(x, y, 0.85 * r, 0, 7);
    c.fillStyle = look.paper;
    c.strokeStyle = look.mark;
    c.lineWidth = 1.5;
    c.fill();
    c.stroke();
  },
  1(c, x, y, r, look) { // a stop
    c.rect(x - 0.8 * r, y - 0.8 * r, 1.6 * r, 1.6 * r);
    c.fillStyle = look.mark;
    c.fill();
  },
  2(c, x, y, r, look) { // a liquidation
    c.moveTo(x - r, y - r);
    c.lineTo(x + r, y + r);
    c.moveTo(x + r, y - r);
    c.lineTo(x - r, y + r);
    c.strokeStyle = look.liquidated;
    c.lineWidth = Math.max(2, r / 2);
    c.stroke();
  },
};

function tradeDrawing(bars, t, state, look) {
  return (c, size, x, y, spacing) => {
    const seen = [];
    for (const i of bars.trades) {
      const one = { i, a: x(bars.bar(t.in[i])), b: x(bars.bar(t.out[i])), p: y(t.inPrice[i]), q: y(t.outPrice[i]) };
      if (one.b > -10 && one.a < size.width + 10 && one.p !== null && one.q !== null) seen.push(one);
    }
    const r = Math.max(1.7, Math.min(6, 3.2 - seen.length / 200 + spacing / 2)); // small where there are many
    for (const { i, a, b, p, q } of seen) {
      if (i === state.chosen) { c.fillStyle = look.band; c.fillRect(a - 4, 0, b - a + 8, size.height); }
      c.strokeStyle = faded(t.pnl[i] >= 0 ? look.up : look.down, 0.7);
      c.lineWidth = 1.2;
      c.setLineDash([2, 2]);
      c.beginPath();
      c.moveTo(a, p);
      c.lineTo(b, q);
      c.stroke();
      c.setLineDash([]);
    }
    for (const { i, a, b, p, q } of seen) {
      c.beginPath();
      MARKS.in(c, a, p, r, look, t.side[i]);
      if (t.kind[i] === 3) continue; // still open
      c.beginPath();
      MARKS[t.kind[i]](c, b, q, r, look);
    }
  };
}
