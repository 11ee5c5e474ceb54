// The page's data as arrays, and numbers as text. The page's three scripts are one; see page.py.

const data = JSON.parse(document.getElementById("report-data").textContent);
const root = document.documentElement;
const plot = document.getElementById("plot");

// --- arrays: the way back from pack.py -------------------------------------------------------------------------------

function unpack(column) {
  const raw = atob(column.b), values = new Float64Array(column.n);
  const down = column.d > 0 ? 10 ** column.d : 1, up = column.d < 0 ? 10 ** -column.d : 1;
  for (let i = 0, k = 0, total = 0; k < column.n; k++) {
    let number = 0, scale = 1, byte;
    do {
      byte = raw.charCodeAt(i++);
      number += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    total += number % 2 ? -(number + 1) / 2 : number / 2;
    values[k] = total / down * up;
  }
  for (const [first, count] of column.gaps) values.fill(NaN, first, first + count);
  return values;
}

function unpackTimes(packed) {
  const times = new Float64Array(packed.n);
  let jump = 0, next = packed.start;
  for (let k = 0; k < packed.n; k++) {
    if (jump < packed.jumps.length && packed.jumps[jump][0] === k) next += packed.jumps[jump++][1];
    times[k] = next;
    next += packed.step;
  }
  return times;
}

function positionAt(times, time) { // the last bar that opened at or before a time, -1 before the first
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function onto(times, step, source, values) { // the last value in each bar
  const found = new Float64Array(times.length).fill(NaN);
  for (let k = 0, i = 0; k < times.length; k++) {
    for (; i < source.length && source[i] < times[k] + step; i++) if (source[i] >= times[k]) found[k] = values[i];
  }
  return found;
}

function drawdownOf(equity, cash) {
  const down = new Float64Array(equity.length);
  for (let k = 0, peak = cash; k < equity.length; k++) {
    if (equity[k] > peak) peak = equity[k];
    down[k] = equity[k] / peak - 1;
  }
  return down;
}

function equityOf(packed) {
  const times = unpackTimes(packed.t), values = unpack(packed.v);
  return { times, step: packed.t.step, values, down: drawdownOf(values, packed.cash), cash: packed.cash };
}

const lazily = (make) => { let made; return () => (made ??= make()); };
const someOf = (values) => values.some((value) => value === value);

// --- words -----------------------------------------------------------------------------------------------------------

const two = (n) => String(n).padStart(2, "0");
function clock(seconds) {
  const t = new Date(seconds * 1000);
  return `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())} ${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
}
const known = (text) => (value) => (Number.isFinite(value) ? text(value) : "–");
const digitsOf = (value) => (value ? Math.max(0, Math.min(10, 5 - Math.floor(Math.log10(Math.abs(value))))) : 0);
const writers = new Map();
function grouped(value, digits) {
  if (!writers.has(digits)) writers.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return writers.get(digits).format(value);
}
const price = known((v) => grouped(v, digitsOf(v)));
const money = known((v) => grouped(v, Math.abs(v) < 1000 ? 2 : 0));
const percent = known((v) => `${(100 * v).toFixed(Math.abs(v) < 0.001 && v ? 4 : 1)}%`);
const multiple = known((v) => `${v.toFixed(3)}×`);
const short = known((v) => {
  for (const [unit, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(v) >= unit) return `${+(v / unit).toPrecision(4)}${letter}`;
  }
  return String(+v.toPrecision(4));
});

function tell(pairs) { // what is under the crosshair
  document.getElementById("readout").replaceChildren(...pairs.map(([name, value]) => {
    const span = document.createElement("span"), bold = document.createElement("b");
    bold.textContent = value;
    span.append(name ? `${name} ` : "", bold);
    return span;
  }));
}
function say(text) { document.getElementById("said").textContent = text; }
