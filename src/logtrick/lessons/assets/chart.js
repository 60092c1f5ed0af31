import { format } from "./page.js";
import { svg } from "./svg.js";

// Small charts in the pixels of the page, so that their words keep their size on a phone.

const MARGIN = { left: 46, right: 14, top: 14, bottom: 34 };

/** About `count` round numbers between two. */
export function ticks(low, high, count = 4) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * (1 - 1e-9));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return { found, places: [0, 1, 2, 3, 4].find((n) => Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) < 1e-6) ?? 5 };
}

/** Scales and an empty frame: what a chart is drawn on. */
export function frame(picture, { x, y, height = 200, xLabel = "", yLabel = "", xTicks = 4 }) {
  const width = Math.max(240, picture.clientWidth);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.setAttribute("height", String(height));
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const toX = (v) => MARGIN.left + ((v - x[0]) / (x[1] - x[0])) * (right - MARGIN.left);
  const toY = (v) => bottom - ((v - y[0]) / (y[1] - y[0])) * (bottom - MARGIN.top);
  const parts = [];
  const across = xTicks ? ticks(...x, xTicks) : { found: [] };
  const up = ticks(...y, 4);
  for (const v of up.found) {
    parts.push(svg("path", { d: `M${MARGIN.left} ${toY(v)}H${right}`, class: v === 0 ? "zero" : "rule" }));
    parts.push(svg("text", { x: MARGIN.left - 7, y: toY(v) + 4, class: "tick end" }, format(v, up.places)));
  }
  for (const v of across.found) {
    parts.push(svg("text", { x: toX(v), y: bottom + 16, class: "tick middle" }, format(v, across.places)));
  }
  parts.push(svg("text", { x: right, y: height - 3, class: "label end" }, xLabel));
  if (yLabel) parts.push(svg("text", { x: MARGIN.left + 4, y: 11, class: "label" }, yLabel));
  picture.replaceChildren(...parts);
  return { toX, toY, left: MARGIN.left, right, top: MARGIN.top, bottom };
}

/** A line through points [x, y], kept inside the frame. */
export function line(picture, on, points, kind) {
  const inside = (v) => Math.min(on.bottom + 2, Math.max(on.top - 2, v));
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${on.toX(x).toFixed(1)} ${inside(on.toY(y)).toFixed(1)}`);
  if (points.length) picture.append(svg("path", { d: d.join(""), class: `line ${kind}` }));
}

/** A horizontal line with its name. */
export function level(picture, on, y, kind, words) {
  const at = Math.min(on.bottom, Math.max(on.top, on.toY(y)));
  picture.append(svg("path", { d: `M${on.left} ${at}H${on.right}`, class: `line level ${kind}` }));
  picture.append(svg("text", { x: on.right - 2, y: at - 5, class: `label end ${kind}` }, words));
}
