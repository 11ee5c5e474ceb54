// What the tests ask a page about its looks; read into the page by test_report_in_browser.py.

// How many pixels of each pane, and of the time scale, have a colour, give or take what smoothing does to it.
function pixelsOf(colour) {
  const [r, g, b] = colour.slice(1).match(/../g).map((part) => parseInt(part, 16)), found = [];
  for (const row of document.querySelectorAll("#plot table tr")) {
    let n = 0;
    for (const canvas of row.querySelectorAll("canvas")) {
      if (!canvas.width || !canvas.height) continue;
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const p = copy.getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < p.length; i += 4) {
        if (p[i + 3] > 200 && Math.abs(p[i] - r) + Math.abs(p[i + 1] - g) + Math.abs(p[i + 2] - b) < 24) n++;
      }
    }
    if (row.querySelector("canvas")) found.push(n);
  }
  return found;
}

// Neighbours that lie on each other, and what is wider than its place; what scrolls in a frame of its own is not.
function layoutFaults() {
  const faults = [], box = (e) => e.getBoundingClientRect(), name = (e) => `${e.tagName}.${e.className}`;
  const placed = "header > *, main section, main section > *, .tiles > div, .switches > *, .legend > li, .controls button";
  for (const e of document.querySelectorAll(placed)) {
    const b = box(e);
    if (!b.width || !b.height) continue;
    if (b.right > innerWidth + 1 || b.left < -1) faults.push(`${name(e)} leaves the screen`);
    for (let other = e.nextElementSibling; other; other = other.nextElementSibling) {
      const o = box(other);
      const across = Math.min(b.right, o.right) - Math.max(b.left, o.left), down = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
      if (across > 1 && down > 1) faults.push(`${name(e)} lies on ${name(other)}`);
    }
  }
  for (const e of document.querySelectorAll("h1, h2, p, li, dt, dd, pre, summary, figcaption")) {
    if (!e.closest(".frame") && e.clientWidth && e.scrollWidth > e.clientWidth + 1) faults.push(`${name(e)} "${e.textContent.slice(0, 30)}" is too wide`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  return faults;
}

function watchPrinting() { // what the page looks like when it is printed
  window.seen = [];
  addEventListener("beforeprint", () => {
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
    seen.push(document.querySelectorAll("details:not([open])").length, document.querySelector(".print-chart canvas").width, paper);
  });
}

async function tryTheNetwork() {
  const asked = await fetch("https://example.org/").then(() => "answered", () => "refused");
  const seen = await new Promise((done) => {
    const image = new Image();
    image.onload = () => done("answered");
    image.onerror = () => done("refused");
    image.src = "https://example.org/a.png";
  });
  return [asked, seen];
}
