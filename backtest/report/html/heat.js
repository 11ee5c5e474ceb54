// The heat maps of a sweep: one figure over two axes, drawn as a table that keys, a mouse and a finger can walk.

const heat = data.pairs.length ? heatMaps() : null;
root.dataset.drawn = heat ? String(Math.round(performance.now())) : "nothing";

function heatMaps() {
  const at = (id) => document.getElementById(id), frame = at("heat-map");
  const state = { figure: 0, layer: "value", pair: 0, turned: false, cell: null };
  const count = known((v) => String(+v.toFixed(1)));
  const writers = { percent: known((v) => `${(100 * v).toFixed(1)}%`.replace("-0.0%", "0.0%")), ratio: known((v) => v.toFixed(2).replace("-0.00", "0.00")), count, money: short };
  const axisWords = (name) => name.replace(/^set_/, "");
  let shown = null;

  // what is shown, with the sides as the reader has turned them
  function current() {
    const pair = data.pairs[state.pair], figure = data.figures[state.figure], one = pair.maps[state.figure], first = pair.maps[0];
    const sides = { x: pair.x, y: pair.y }, across = data.sides[pair.x], down = data.sides[pair.y], turned = state.turned;
    const columns = turned ? down.length : across.length, rows = turned ? across.length : down.length;
    const place = (r, c) => (turned ? c * across.length + r : r * across.length + c);
    const mark = (cell) => cell && (turned ? [cell[1], cell[0]] : cell);
    return {
      figure, place, rows, columns, write: writers[figure.kind], told: one.told, value: unpack(one.v),
      points: unpack(pair.points), failed: unpack(pair.failed), trades: unpack(one.trades ?? first.trades), fewest: unpack(one.fewest ?? first.fewest),
      x: turned ? sides.y : sides.x, y: turned ? sides.x : sides.y, across: turned ? down : across, down: turned ? across : down,
      plateau: mark(one.plateau), peak: mark(one.peak),
    };
  }

  // what the cells show: the figure, how far a cell and its neighbours are apart, or its trades
  function layerOf(now) {
    if (state.layer === "trades") return { values: now.trades, write: count, name: `trades behind ${now.figure.name}`, lower: false, diverging: false };
    if (state.layer === "value") return { values: now.value, write: now.write, ...now.figure };
    const values = new Float64Array(now.value.length).fill(NaN);
    for (let r = 0; r < now.rows; r++) {
      for (let c = 0; c < now.columns; c++) {
        const around = near(now, r, c), k = now.place(r, c);
        if (Number.isFinite(now.value[k])) values[k] = around[around.length - 1] - around[0];
      }
    }
    return { values, write: now.write, name: `spread of ${now.figure.name} among a cell and its neighbours`, lower: false, diverging: false };
  }

  // how deep a colour is, -1 to 1, from the 2nd to the 98th percentile of the values
  function scaleOf(layer) {
    const there = [...layer.values].filter(Number.isFinite).sort((a, b) => a - b);
    const quantile = (share) => there[Math.round(share * (there.length - 1))];
    let low = quantile(0.02), high = quantile(0.98);
    if (layer.diverging) { high = Math.max(Math.abs(low), Math.abs(high)); low = -high; }
    const depth = (v) => {
      if (layer.diverging) return high > 0 ? Math.max(-1, Math.min(1, v / high)) : 0;
      const share = high > low ? Math.max(0, Math.min(1, (v - low) / (high - low))) : 0.5;
      return layer.lower ? 1 - share : share;
    };
    return { depth, low, high, any: there.length > 0 };
  }

  function paint(element, depth) { // little more than half of the colour, so that the number stays readable
    element.style.setProperty("--depth", `${Math.round(55 * Math.abs(depth))}%`);
    element.classList.toggle("under", depth < 0);
  }

  function make(tag, text, kind) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function near(now, r, c) { // the values of a cell and of those around it
    const found = [];
    for (let i = Math.max(0, r - 1); i <= Math.min(now.rows - 1, r + 1); i++) {
      for (let j = Math.max(0, c - 1); j <= Math.min(now.columns - 1, c + 1); j++) {
        const v = now.value[now.place(i, j)];
        if (Number.isFinite(v)) found.push(v);
      }
    }
    return found.sort((a, b) => a - b);
  }

  function words(now, r, c) {
    const k = now.place(r, c), name = now.figure.name, write = now.write;
    const where = [[now.x, now.across[c]], [now.y, now.down[r]]].filter(([axis]) => axis).map(([axis, label]) => `${axisWords(axis)} ${label}`).join(", ");
    const points = `${now.points[k]} point${now.points[k] === 1 ? "" : "s"}${now.failed[k] ? `, ${now.failed[k]} failed` : ""}`;
    if (!Number.isFinite(now.value[k])) return `${where}: no value; ${points}.`;
    const around = near(now, r, c), n = around.length, middle = (around[(n - 1) >> 1] + around[n >> 1]) / 2;
    const alike = n > 1 ? `it and its neighbours ${write(around[0])} to ${write(around[n - 1])}, middle ${write(middle)}, spread ${write(around[n - 1] - around[0])}; ` : "";
    const traded = now.trades[k] === now.fewest[k] ? `${count(now.trades[k])} trades` : `${count(now.trades[k])} trades in the median, ${count(now.fewest[k])} at least`;
    const marked = same(now.plateau, r, c) ? " The plateau." : same(now.peak, r, c) ? " The peak." : "";
    return `${where}: ${name} ${write(now.value[k])}; ${alike}${traded}; ${points}.${marked}`;
  }

  const same = (cell, r, c) => Boolean(cell) && cell[0] === r && cell[1] === c;
  const beside = (cell, r, c) => Boolean(cell) && Math.abs(cell[0] - r) <= 1 && Math.abs(cell[1] - c) <= 1;

  function draw() {
    const now = shown = current(), layer = layerOf(now), scale = scaleOf(layer);
    const widest = Math.max(...now.down.map((label) => label.length), 8), room = frame.clientWidth - 6 - (16 + 7 * widest) - now.columns;
    const size = Math.max(26, Math.min(84, Math.floor(room / now.columns)));
    const texts = [...layer.values].map((v) => (Number.isFinite(v) ? layer.write(v) : ""));
    const longest = Math.max(...texts.map((text) => text.length), 1), numbers = size >= 8 * longest + 4;
    const upright = now.across.some((label) => 7 * label.length + 8 > size);
    const table = make("table", undefined, `heat${numbers ? "" : " bare"}${upright ? " upright" : ""}`);
    table.setAttribute("role", "grid");
    table.style.setProperty("--cell", `${size}px`);
    table.append(make("caption", `${layer.name}: ${axisWords(now.x)} across${now.y ? `, ${axisWords(now.y)} down` : ""}`));
    const head = make("tr"), corner = make("td", now.y ? `${axisWords(now.y)} \\ ${axisWords(now.x)}` : axisWords(now.x), "corner");
    head.append(corner);
    for (const label of now.across) {
      const cell = make("th");
      cell.scope = "col";
      cell.append(make("span", label));
      head.append(cell);
    }
    const top = make("thead"), body = make("tbody");
    top.append(head);
    for (let r = 0; r < now.rows; r++) {
      const row = make("tr"), name = make("th", now.down[r]);
      name.scope = "row";
      row.append(name);
      for (let c = 0; c < now.columns; c++) {
        const k = now.place(r, c), v = layer.values[k], cell = make("td", numbers ? texts[k] : undefined);
        if (Number.isFinite(v)) paint(cell, scale.depth(v)); else cell.classList.add("hole");
        if (beside(now.plateau, r, c)) cell.classList.add("around");
        if (same(now.plateau, r, c)) cell.classList.add("plateau"); else if (same(now.peak, r, c)) cell.classList.add("peak");
        cell.tabIndex = -1;
        cell.dataset.cell = `${r},${c}`;
        cell.title = words(now, r, c);
        cell.setAttribute("aria-label", cell.title);
        row.append(cell);
      }
      body.append(row);
    }
    table.append(top, body);
    frame.replaceChildren(table);
    at("heat-told").replaceChildren(...now.told.map((line) => make("li", line)));
    at("heat-low").textContent = scale.any ? layer.write(layer.lower ? scale.high : scale.low) : "";
    at("heat-high").textContent = scale.any ? layer.write(layer.lower ? scale.low : scale.high) : "";
    at("heat-scale").classList.toggle("diverging", layer.diverging);
    choose(...(now.plateau ?? [0, 0]), false);
  }

  const cellAt = (r, c) => frame.querySelector(`td[data-cell="${r},${c}"]`);

  function choose(r, c, focus = true) {
    const old = state.cell && cellAt(...state.cell), cell = cellAt(r, c);
    if (!cell) return;
    if (old) { old.tabIndex = -1; old.classList.remove("chosen"); }
    state.cell = [r, c];
    cell.tabIndex = 0;
    cell.classList.add("chosen");
    if (focus) cell.focus({ preventScroll: false });
    say(words(shown, r, c));
  }

  function sides() { // the axes that can be chosen, the other one left as it is
    const pair = data.pairs[state.pair], now = state.turned ? [pair.y, pair.x] : [pair.x, pair.y];
    ["x", "y"].forEach((key, i) => {
      const chooser = at(`heat-${key}`);
      if (!chooser) return;
      chooser.replaceChildren(...Object.keys(data.sides).filter(Boolean).map((name) => {
        const option = make("option", axisWords(name));
        option.value = name;
        option.selected = name === now[i];
        return option;
      }));
    });
  }

  function chosen(key, name) {
    const pair = data.pairs[state.pair], now = state.turned ? [pair.y, pair.x] : [pair.x, pair.y], i = key === "x" ? 0 : 1;
    const wanted = [...now];
    if (name === now[1 - i]) wanted[1 - i] = now[i]; // the axis of the other side: they change places
    wanted[i] = name;
    const found = data.pairs.findIndex((p) => (p.x === wanted[0] && p.y === wanted[1]) || (p.x === wanted[1] && p.y === wanted[0]));
    if (found >= 0) {
      state.pair = found;
      state.turned = data.pairs[found].x !== wanted[0];
      draw();
    } else {
      say(`There is no map over ${axisWords(wanted[0])} and ${axisWords(wanted[1])} on this page.`);
    }
    sides();
  }

  at("heat-figure").addEventListener("change", (event) => { state.figure = Number(event.target.value); draw(); });
  at("heat-layer").addEventListener("change", (event) => { state.layer = event.target.value; draw(); });
  for (const key of ["x", "y"]) at(`heat-${key}`)?.addEventListener("change", (event) => chosen(key, event.target.value));
  at("heat-swap")?.addEventListener("click", () => { state.turned = !state.turned; draw(); sides(); });
  frame.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-cell]");
    if (cell) choose(...cell.dataset.cell.split(",").map(Number));
  });
  frame.addEventListener("pointerover", (event) => { // a mouse reads without choosing
    const cell = event.pointerType === "mouse" && event.target.closest("td[data-cell]");
    if (cell) say(words(shown, ...cell.dataset.cell.split(",").map(Number)));
  });
  frame.addEventListener("pointerleave", () => { if (state.cell) say(words(shown, ...state.cell)); });
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
  frame.addEventListener("keydown", (event) => {
    const step = event.ctrlKey || event.metaKey || event.altKey || !state.cell ? null : steps[event.key];
    if (!step) return;
    event.preventDefault();
    const clamp = (v, most) => Math.max(0, Math.min(most - 1, v));
    choose(clamp(state.cell[0] + step[0], shown.rows), clamp(state.cell[1] + step[1], shown.columns));
  });
  let wide = 0;
  new ResizeObserver(() => { if (Math.abs(frame.clientWidth - wide) > 4) { wide = frame.clientWidth; draw(); } }).observe(frame);
  sides();
  draw();
  wide = frame.clientWidth;
  window.report = { data, state, cell: () => state.cell, words: (r, c) => words(shown, r, c) }; // for whoever looks closer in the console
  return state;
}
