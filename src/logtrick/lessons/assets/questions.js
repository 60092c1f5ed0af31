import { choice, number } from "./address.js";
import { calculus } from "./calculus.js";
import { frame } from "./chart.js";
import { dot, sum } from "./linear.js";
import {
  actionValues, chainOf, gainAndBias, readMDP, softmaxPolicy, stateValues, stationary, stationaryGradients, visitation, weighted,
} from "./mdp.js";
import { check, data, format, picture, say, show, Store } from "./page.js";
import { Plane } from "./plane.js";
import { arrow, onResize, svg } from "./svg.js";

const worlds = Object.fromEntries(Object.entries(data.mdps).map(([name, mdp]) => [name, readMDP(mdp)]));
const { garden } = worlds;

/** One knob: π(first action) = p in every state, and ∇π by its logit. */
function knob(mdp, p) {
  const rows = (row) => mdp.R.map(() => row);
  return { pi: rows([p, 1 - p]), dpi: [rows([p * (1 - p), -p * (1 - p)])] };
}

/** The slopes of J_γ and of the total reward, and the update that leaves γ^t out. */
function slopes(mdp, gamma, p) {
  const { pi, dpi } = knob(mdp, p);
  const chain = chainOf(mdp, pi);
  const of = (valued, visited) => {
    const Q = actionValues(mdp, stateValues(chain, valued), valued);
    return weighted(visitation(chain, visited, mdp.start), Q, dpi)[0];
  };
  return { discounted: of(gamma, gamma), total: of(1, 1), without: of(gamma, 1) };
}

/** What pulling d out of the gradient keeps and drops in the two-state loop. */
function pulledOut(gamma, p) {
  const mdp = worlds.loop;
  const { pi, dpi } = knob(mdp, p);
  const chain = chainOf(mdp, pi);
  const d = stationary(chain);
  const dd = stationaryGradients(mdp, chain, d, dpi)[0];
  const V = stateValues(chain, gamma);
  const kept = weighted(d, actionValues(mdp, V, gamma), dpi)[0];
  const dropped = (1 - gamma) * sum(dd.map((x, s) => x * V[s]));
  return { truth: kept + dropped, kept, share: dropped / (kept + dropped), d, gain: gainAndBias(chain, d).gain };
}

/** The update without γ^t, Σ d Σ Q ∇π, and ∇r̄, at a point of the garden's θ. */
function fieldsAt(theta, gamma) {
  const c = calculus(garden, softmaxPolicy(garden, theta), gamma);
  const slope = c.pull(c.chain.r, c.dd).map((x, k) => x + c.allAction(c.d, garden.R)[k]);
  return { without: c.allAction(c.d, c.Q), gradient: slope };
}

/** Points and shares of Gauss's rule on (−1, 1). */
function gauss(n) {
  return Array.from({ length: n }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    for (let tries = 0; tries < 50; tries++) {
      const [value, slope] = legendre(n, x);
      x -= value / slope;
    }
    return [x, 2 / ((1 - x * x) * legendre(n, x)[1] ** 2)];
  });
}

/** The n-th Legendre polynomial and its slope. */
function legendre(n, x) {
  let [before, now] = [1, x];
  for (let k = 2; k <= n; k++) [before, now] = [now, ((2 * k - 1) * x * now - (k - 1) * before) / k];
  return [now, (n * (x * now - before)) / (x * x - 1)];
}

/** The sides of a square, clockwise as the plane is drawn: [outward, along]. */
const SIDES = [[[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, -1], [-1, 0]], [[-1, 0], [0, 1]]];
const NODES = gauss(12);

/** What each side of a closed walk around a square gains, along both fields. */
function walkAround(middle, half, gamma) {
  return SIDES.map(([outward, along]) => {
    const total = { without: 0, gradient: 0 };
    for (const [node, share] of NODES) {
      const theta = middle.map((m, k) => m + half * outward[k] + half * node * along[k]);
      const fields = fieldsAt(theta, gamma);
      for (const name of Object.keys(total)) total[name] += half * share * dot(fields[name], along);
    }
    return total;
  });
}
const around = (sides) => ({ without: sum(sides.map((one) => one.without)), gradient: sum(sides.map((one) => one.gradient)) });

check(({ world, gamma, p, walk, half }) => {
  if (walk) return around(walkAround(walk, half, gamma));
  if (world !== "loop") return slopes(worlds[world], gamma, p);
  const { truth, kept, share } = pulledOut(gamma, p);
  return { truth, kept, share };
});

const store = new Store({
  world: choice("fixture", "fixture", "corridor"), gamma: number(0.5, 0, 1), p: number(0.5, 0.02, 0.98),
  gamma2: number(0.5, 0, 0.99), p2: number(0.5, 0.02, 0.98), gamma3: number(0.9, 0, 0.99), half: number(1, 0.1, 2),
});
const square = new Plane(picture("walk"), { reach: 3, xLabel: "θ right →", yLabel: "θ up →" });
square.axes([-2, -1, 0, 1, 2]);

/** The square, with what the update gains along each side as arrows. */
function drawWalk({ gamma3, half }) {
  const middle = [0.5, 0.5];
  const sides = walkAround(middle, half, gamma3);
  const gains = around(sides);
  show("gamma3", gamma3);
  show("half", half);
  show("walk-without", gains.without, format(gains.without, 4));
  show("walk-gradient", gains.gradient, Math.abs(gains.gradient) < 1e-6 ? "0" : format(gains.gradient, 4));
  square.clear();
  SIDES.forEach(([outward, along], i) => {
    const at = (share) => middle.map((m, k) => m + half * outward[k] + half * share * along[k]);
    square.arrow(at(-1), at(1), "walk");
    const [right, up] = at(0).map((m, k) => m + 0.32 * outward[k]);
    const [x, y] = square.at([right, up]);
    square.layer.append(svg("text", { x, y: y + 4, class: `tick ${outward[0] > 0 ? "" : outward[0] < 0 ? "end" : "middle"}` }, `${sides[i].without >= 0 ? "+" : ""}${format(sides[i].without)}`));
  });
}

function drawSlopes({ world, gamma, p }) {
  const found = slopes(worlds[world], gamma, p);
  for (const [name, value] of Object.entries(found)) show(name, value);
  show("gamma", gamma);
  show("p", p);
  const bars = [["∇J discounted", found.discounted], ["∇J total", found.total], ["without γᵗ", found.without]];
  const chart = picture("slopes");
  const reach = Math.max(0.05, ...bars.map(([, v]) => Math.abs(v))) * 1.15;
  const on = frame(chart, { x: [0, 3], y: [-reach, reach], height: 200, xTicks: 0 });
  bars.forEach(([words, value], i) => {
    const [x, width] = [on.toX(i + 0.25), on.toX(i + 0.75) - on.toX(i + 0.25)];
    const [a, b] = [on.toY(0), on.toY(value)];
    chart.append(
      svg("rect", { x, width, y: Math.min(a, b), height: Math.abs(a - b), class: `bar ${value < 0 ? "down" : "up"}` }),
      svg("text", { x: x + width / 2, y: on.bottom + 18, class: "tick middle" }, words),
      svg("text", { x: x + width / 2, y: value < 0 ? b + 15 : b - 6, class: "tick middle strong" }, format(value)),
    );
  });
  say("gamma-words", gammaWords(found, gamma));
  drawWorld(worlds[world], world);
}

function gammaWords({ discounted, total, without }, gamma) {
  if (gamma === 1) return "At γ = 1 there is no γᵗ to leave out: all three agree.";
  const [one, two] = [Math.sign(without) !== Math.sign(discounted), Math.sign(without) !== Math.sign(total)];
  if (one && two) return "Without γᵗ the update goes down, while both objectives say up. No reading of it can save it here.";
  if (one) return "Without γᵗ the update opposes the discounted objective, and agrees with the total one.";
  if (two) return "Without γᵗ the update agrees with the discounted objective, and opposes the total one.";
  return "Here all three agree on the direction; they differ in size.";
}

/** States as a row of circles, the two actions with what they pay above and below. */
function drawWorld(mdp, name) {
  const chart = picture("world");
  const width = Math.max(280, chart.clientWidth);
  const height = 132;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.setAttribute("height", String(height));
  const x = (s) => 34 + (s * (width - 84)) / (mdp.S - (name === "corridor" ? 0 : 0.15));
  const middle = 68;
  const parts = mdp.outcomes.flatMap((row, s) => row.flatMap((outs, a) => drawAction(mdp, s, a, outs[0], x, middle)));
  const circles = mdp.outcomes.map((_, s) => svg("g", {},
    svg("circle", { cx: x(s), cy: middle, r: 17, class: "state" }),
    svg("text", { x: x(s), y: middle + 4.5, class: "tick middle strong" }, mdp.names[s] || `s${s}`)));
  const end = svg("g", {}, svg("rect", { x: x(mdp.S) - 16, y: middle - 13, width: 34, height: 26, rx: 5, class: "state end" }),
    svg("text", { x: x(mdp.S) + 1, y: middle + 4.5, class: "tick middle" }, "end"));
  chart.replaceChildren(...parts, ...circles, end);
}

/** One action as a curve: the first (right) above, the second below. */
function drawAction(mdp, s, a, [, next, reward, ends], x, middle) {
  const same = mdp.outcomes[s].every(([[, n, r, e]]) => n === next && r === reward && e === ends);
  if (same && a === 1) return [];
  const [from, to] = [x(s), x(ends ? mdp.S : next)];
  const side = same ? 0 : a === 0 ? -1 : 1;
  const bend = middle + side * Math.min(50, 30 + 0.1 * Math.abs(to - from));
  const pays = reward ? ` ${reward > 0 ? "+" : "\u2212"}${Math.abs(reward)}` : "";
  const label = (same ? "" : a === 0 ? "R" : "L") + pays;
  if (from === to) {
    const d = `M${from - 9} ${middle + 15 * side}C${from - 30} ${middle + 58 * side} ${from + 30} ${middle + 58 * side} ${from + 9} ${middle + 15 * side}`;
    return [svg("path", { d, class: "move" }), svg("text", { x: from, y: middle + 58 * side + (side > 0 ? 2 : 6), class: "tick middle" }, label)];
  }
  const way = Math.sign(to - from);
  const [a0, b0] = [from + 13 * way, to - 15 * way];
  const y0 = middle + 11 * side;
  const tip = arrow([b0 - 6 * way, y0 + 6 * side], [b0, y0], { head: 8, class: "move-head" });
  return [
    svg("path", { d: `M${a0} ${y0}Q${(from + to) / 2} ${2 * bend - middle - 11 * side} ${b0} ${y0}`, class: "move" }),
    tip,
    svg("text", { x: (from + to) / 2, y: side === 0 ? middle - 8 : bend + (side > 0 ? 13 : -5), class: "tick middle" }, label),
  ];
}

function drawLoop({ gamma2, p2 }) {
  const { truth, kept, share, d } = pulledOut(gamma2, p2);
  show("gamma2", gamma2);
  show("p2", p2);
  show("loop-truth", truth, format(truth, 4));
  show("loop-kept", kept, format(kept, 4));
  show("loop-share", share, `${format(100 * share, 1)} %`);
  const chart = picture("loop");
  const width = Math.max(240, chart.clientWidth);
  chart.setAttribute("viewBox", `0 0 ${width} 210`);
  chart.setAttribute("height", "210");
  const [x0, x1, y] = [width * 0.26, width * 0.74, 105];
  const circle = (x, s, pays) => svg("g", {},
    svg("circle", { cx: x, cy: y, r: 34 + 28 * Math.sqrt(d[s]), class: "share" }),
    svg("text", { x, y: y + 1, class: "middle strong" }, `s${s}${pays}`),
    svg("text", { x, y: y + 19, class: "tick middle strong" }, `${format(100 * d[s], 0)} % of time`));
  chart.replaceChildren(
    svg("path", { d: `M${x0 + 20} ${y - 44}Q${width / 2} 20 ${x1 - 20} ${y - 44}`, class: "move", "stroke-width": 1 + 5 * p2 }),
    arrow([x1 - 32, y - 53], [x1 - 19, y - 43], { head: 10, class: "move-head" }),
    svg("path", { d: `M${x1 - 20} ${y + 44}Q${width / 2} 190 ${x0 + 20} ${y + 44}`, class: "move" }),
    arrow([x0 + 32, y + 53], [x0 + 19, y + 43], { head: 10, class: "move-head" }),
    svg("text", { x: width / 2, y: 28, class: "tick middle" }, `go, p = ${format(p2, 2)}`),
    svg("text", { x: width / 2, y: 194, class: "tick middle" }, "always back"),
    circle(x0, 0, ""), circle(x1, 1, " pays 1"),
  );
}

function drawAll(values) {
  drawWalk(values);
  drawSlopes(values);
  drawLoop(values);
}
store.start(drawAll);
onResize(["slopes", "world", "loop"].map(picture), () => drawAll(store.values));
