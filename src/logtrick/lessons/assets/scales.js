import { choice, number } from "./address.js";
import { calculus, identities } from "./calculus.js";
import { frame, level, line } from "./chart.js";
import { Garden } from "./garden.js";
import { angleBetween, dot, norm, points, scale, sum } from "./linear.js";
import { chainOf, readMDP, softmaxPolicy, stateValues } from "./mdp.js";
import { check, data, format, picture, say, show, Store } from "./page.js";
import { recall } from "./recall.js";
import { icon, onResize, svg } from "./svg.js";

const mdp = readMDP(data.world);
const policy = softmaxPolicy(mdp, data.theta);

/** The change of d for a step of length 1 along ∇r̄, the weight of each cell, and what is kept. */
function weigh(gamma) {
  const c = calculus(mdp, policy, gamma);
  const { gainSlope, kept } = identities(c, "stationary");
  const size = norm(gainSlope);
  const direction = points(gainSlope) ? scale(gainSlope, 1 / size) : [0, 0];
  const moved = c.d.map((_, s) => dot(direction, c.dd.map((g) => g[s])));
  const weights = moved.map((x, s) => (1 - gamma) * c.V[s] * x);
  return { moved, weights, net: sum(weights), angle: angleBetween(kept, gainSlope), steep: size, gain: c.gain, V: c.V };
}

check(({ gamma }) => weigh(gamma));

const OPENS = -Math.log10(1 - data.opens);
const gammaOf = (nines) => (nines === OPENS ? data.opens : 1 - 10 ** -nines);
const gammaWords = (nines) => gammaOf(nines).toFixed(Math.max(2, Math.ceil(nines) + 1)).replace(/0+$/, "").replace(/\.$/, ".0");
const store = new Store({ nines: number(OPENS, 0.1, 4), weigh: choice("visits", "visits", "values") });
const garden = new Garden(picture("weights"), mdp, { label: "The weight of each cell" });

const nameOf = (s) => mdp.names[s] || mdp.cells[s].map((i) => i + 1).join(",");
const ICON = { salad: "leaf", poison: "flask", home: "house", goal: "leaf", hole: "flask" };

/** Blocks on two pans: what is below 0 left, what is above right; the beam leans to the heavier. */
function drawScales(of, net) {
  const chart = picture("scales");
  const width = Math.max(280, chart.clientWidth);
  const height = 330;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.setAttribute("height", String(height));
  const half = Math.min(width * 0.27, 210);
  const [x0, y0] = [width / 2, 62];
  const gross = sum(of.map(Math.abs)) || 1;
  const tilt = Math.max(-1, Math.min(1, (2.2 * net) / gross)) * 0.2;
  const end = (side) => [x0 + side * half * Math.cos(tilt), y0 + side * half * Math.sin(tilt)];
  const parts = [
    svg("path", { d: `M${x0} ${y0}V${height - 16}M${x0 - 60} ${height - 16}H${x0 + 60}`, class: "stand" }),
    svg("path", { d: `M${end(-1)}L${end(1)}`, class: "beam" }),
    svg("circle", { cx: x0, cy: y0, r: 6, class: "pivot" }),
  ];
  for (const side of [-1, 1]) {
    const [x, y] = end(side);
    const own = of.map((w, s) => ({ w, s })).filter(({ w }) => w * side > 1e-12 * gross).sort((a, b) => Math.abs(b.w) - Math.abs(a.w));
    parts.push(...pan(x, y + 168, half * 0.8, own, gross, side), svg("path", { d: `M${x} ${y}L${x - half * 0.4} ${y + 168}M${x} ${y}L${x + half * 0.4} ${y + 168}`, class: "string" }));
    const total = sum(own.map(({ w }) => w));
    parts.push(svg("text", { x, y: y + 196, class: "tick middle strong" }, `${side < 0 ? "less" : "more"}: ${format(total)}`));
  }
  chart.replaceChildren(...parts);
  chart.dataset.tilt = String(tilt);
}

/** A pan and its blocks in rows, as large as they weigh. */
function pan(x, y, width, own, gross, side) {
  const area = 0.62 * width * 150;
  const blocks = own.map(({ w, s }) => ({ w, s, size: Math.sqrt((Math.abs(w) / gross) * area) }));
  const parts = [];
  let [left, bottom, tall] = [x - width / 2, y - 3, 0];
  for (const { w, s, size } of blocks) {
    if (size < 1) continue;
    if (left + size > x + width / 2) [left, bottom, tall] = [x - width / 2, bottom - tall - 2, 0];
    parts.push(svg("rect", { x: left, y: bottom - size, width: size, height: size, rx: 3, class: side < 0 ? "less" : "more", "data-cell": s, "data-value": w }));
    if (size > 26) {
      const sign = ICON[mdp.names[s]];
      parts.push(sign ? icon(sign, left + size / 2 - 9, bottom - size / 2 - 9, 18)
        : svg("text", { x: left + size / 2, y: bottom - size / 2 + 4, class: "block middle" }, nameOf(s).slice(0, 5)));
    }
    left += size + 2;
    tall = Math.max(tall, size);
  }
  return [...parts, svg("path", { d: `M${x - width / 2 - 6} ${y}H${x + width / 2 + 6}`, class: "beam" })];
}

function drawAll({ nines, weigh: how }) {
  const gamma = gammaOf(nines);
  const found = weigh(gamma);
  const shown = how === "visits" ? found.moved : found.weights;
  const net = how === "visits" ? sum(found.moved) : found.net;
  show("gamma", gamma, gammaWords(nines));
  show("net", net, Math.abs(net) < 1e-12 ? "0" : format(net, 4));
  show("net-again", found.net, format(found.net, 4));
  show("angle", found.angle, Number.isNaN(found.angle) ? "–" : `${format(found.angle, found.angle < 10 ? 1 : 0)}°`);
  show("steep", found.steep, format(found.steep, 4));
  show("gains", sum(found.moved.filter((x) => x > 0)));
  show("losses", sum(found.moved.filter((x) => x < 0)));
  const level_ = Math.abs(sum(found.moved));
  show("I1", level_, level_ < 1e-12 ? "0" : format(level_));
  say("scales-words", scalesWords(how, found));
  drawScales(shown, net);
  const most = Math.max(...shown.map(Math.abs), 1e-12);
  garden.draw({
    fill: shown.map((x) => [x >= 0 ? "visits-fill" : "less-fill", Math.sqrt(Math.abs(x) / most)]),
    texts: shown.map((x) => (x > 0 ? "+" : "") + (Math.abs(x) < 5e-5 ? "0" : format(x, 4))), values: shown, what: "weight",
  });
  show("gain", found.gain, format(found.gain, 4));
  const apart = Math.max(...found.V.map((v) => Math.abs((1 - gamma) * v - found.gain)));
  show("I5", apart, format(apart, 5));
  drawLevel(found, nines);
}

function scalesWords(how, { net, angle }) {
  if (how === "visits") return "Level, whatever γ.";
  if (Number.isNaN(angle)) return "Here ∇r̄ is 0, so there is no way uphill and nothing to weigh.";
  const into = data.world.garden && angle > 90 ? ": into the poison" : "";
  return `Dropping ${format(net, 4)} turns the printed line ${format(angle, angle < 10 ? 1 : 0)}° away from the truth${into}.`;
}

/** (1 − γ)V of each state along γ → 1. */
const LEVELS = Array.from({ length: 41 }, (_, i) => i / 10);
const chain = chainOf(mdp, policy.pi);
const table = LEVELS.map((x) => [x, stateValues(chain, 1 - 10 ** -x).map((v) => v * 10 ** -x)]);
function drawLevel({ gain }, nines) {
  const chart = picture("level");
  const inView = table.filter(([x]) => x >= 0.3).flatMap(([, values]) => values);
  const [low, high] = [Math.min(...inView), Math.max(...inView)];
  const margin = 0.05 * (high - low || 1);
  const on = frame(chart, { x: [0.1, 4], y: [low - margin, high + margin], height: 230, xTicks: 0, yLabel: "(1−γ) V" });
  for (const x of [1, 2, 3, 4]) {
    chart.append(svg("text", { x: on.toX(x), y: on.bottom + 16, class: `tick ${x === 4 ? "end" : "middle"}` }, gammaWords(x)));
  }
  chart.append(svg("text", { x: on.right, y: on.bottom + 31, class: "label end" }, "γ"));
  for (let s = 0; s < mdp.S; s++) line(chart, on, table.filter(([x]) => x >= 0.1).map(([x, values]) => [x, values[s]]), "value thin");
  level(chart, on, gain, "gain", "r̄");
  chart.append(svg("path", { d: `M${on.toX(nines)} ${on.top}V${on.bottom}`, class: "line now" }));
}

store.start(drawAll);
onResize(["scales", "level"].map(picture), () => drawAll(store.values));
recall();
