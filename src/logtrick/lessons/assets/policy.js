import { choice, number, numbers, whole } from "./address.js";
import { generator, walker } from "./chance.js";
import { frame } from "./chart.js";
import { Garden, stateName, valueColours } from "./garden.js";
import { add, dot, norm, scale, sum } from "./linear.js";
import {
  actionValues, chainOf, oneHot, optimal, readMDP, softmaxPolicy, startOf, stateValues, stationary, uniformPolicy,
  visitation, weighted,
} from "./mdp.js";
import { check, data, format, onClick, picture, say, show, showVector, Store } from "./page.js";
import { Plane } from "./plane.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const mdp = readMDP(data.world);
const endless = readMDP(data.continuing ?? data.world);
const HOME = startOf(mdp);
const uniform = uniformPolicy(mdp);

/** Everything that the page shows of a policy; the long run is that of the world that goes on. */
function evaluate(pi, gamma) {
  const [chain, long] = [chainOf(mdp, pi), chainOf(endless, pi)];
  const [values, visits] = [stateValues(chain, gamma), visitation(chain, gamma, mdp.start)];
  const time = stationary(long, mdp.start);
  return {
    values, visits, time,
    objective: dot(mdp.start, values),
    byVisits: dot(visits, chain.r),
    gain: dot(time, long.r),
    weighted: dot(time, stateValues(long, gamma)),
    nobody: dot(visits, values),
  };
}

check(({ pi, gamma }) => evaluate(pi, gamma));

const store = new Store({
  gamma: number(mdp.gamma, 0, 0.99), layer: choice("value", "value", "time", "visits"), cell: whole(HOME, 0, mdp.S - 1),
  weights: numbers(uniform.flat().map((p) => Number((100 * p).toFixed(2))), 0, 100),
  right: number(0, -3, 3), up: number(0, -3, 3), dropped: whole(0, 0, 400), seed: whole(1, 1, 9999),
});
const past = [];
const garden = new Garden(picture("policy"), mdp, {
  pick: (cell) => store.setNow({ cell }),
  pull: (cell, action, p) => turn(cell, action, p),
  label: "The policy: choose a cell, then set its probabilities",
});

/** The table of a flat list of weights; each state's are divided by their sum. */
function tableOf(weights) {
  return mdp.outcomes.map((row, s) => {
    const own = row.map((outcomes, a) => (outcomes.length ? weights[mdp.A * s + a] : 0));
    const total = sum(own);
    return total > 0 ? scale(own, 1 / total) : uniform[s];
  });
}

/** Give an action in a state this probability; the others keep their proportions. */
function turn(cell, action, p) {
  const table = tableOf(store.values.weights);
  const others = mdp.outcomes[cell].map((outcomes, a) => a !== action && outcomes.length > 0);
  const count = others.filter(Boolean).length;
  if (!mdp.outcomes[cell][action].length || !count) return;
  const rest = 1 - table[cell][action];
  table[cell] = table[cell].map((q, a) => (a === action ? p : !others[a] ? 0 : rest > 1e-9 ? (q * (1 - p)) / rest : (1 - p) / count));
  remember(table);
}

function remember(table) {
  past.push(store.values.weights);
  store.set({ weights: table.flat().map((p) => Number((100 * p).toFixed(2))) });
}

const LAYERS = {
  value: { symbol: "V", fill: ({ values }) => valueColours(values), number: (v) => format(v, 2) },
  time: { symbol: "d", fill: ({ time }) => shares(time), number: (v) => `${format(100 * v, v < 0.0995 ? 1 : 0)} %` },
  visits: { symbol: "η", fill: ({ visits }) => shares(visits), number: (v) => format(v, 2) },
};

function shares(weights) {
  const most = Math.max(...weights);
  return weights.map((w) => ["visits-fill", Math.sqrt(Math.max(0, w) / most)]);
}

/** Where all actions do the same. */
const idle = mdp.outcomes.map((row) => row.every((outcomes) => String(outcomes) === String(row[0])));

function drawPolicy({ layer, cell }, pi, found) {
  const how = LAYERS[layer];
  const shown = { value: found.values, time: found.time, visits: found.visits }[layer];
  garden.draw({
    fill: how.fill(found), texts: shown.map(how.number), values: shown, what: how.symbol,
    pi: pi.map((row, s) => (idle[s] ? row.map(() => 0) : row)), chosen: cell,
  });
  say("where", stateName(mdp, cell));
  pi[cell].forEach((p, a) => {
    show(`p${a}`, p);
    const slider = document.querySelector(`[data-action="${a}"]`);
    slider.value = String(p);
    slider.disabled = !mdp.outcomes[cell][a].length;
  });
}

function showSums(found, gamma) {
  show("gamma", gamma);
  show("objective", found.objective);
  show("by-values", found.objective);
  show("by-visits", found.byVisits);
  show("gain", found.gain);
  show("weighted", found.weighted);
  show("gain-scaled", found.gain / (1 - gamma));
  show("nobody", found.nobody);
  show("eta-sum", sum(found.visits));
}

/** Best and worst J for each γ, to measure the present one by. */
const extremes = new Map();
const upsideDown = { ...mdp, R: mdp.R.map((row) => scale(row, -1)) };
function extremesAt(gamma) {
  const J = (V) => dot(mdp.start, V);
  if (!extremes.has(gamma)) extremes.set(gamma, [-J(optimal(upsideDown, gamma).V), J(optimal(mdp, gamma).V)]);
  return extremes.get(gamma);
}

function drawMeter(J, gamma) {
  const [worst, best] = extremesAt(gamma);
  const meter = picture("meter");
  const width = Math.max(200, meter.clientWidth);
  meter.setAttribute("viewBox", `0 0 ${width} 44`);
  meter.setAttribute("height", "44");
  const at = (v) => (best > worst ? ((v - worst) / (best - worst)) * (width - 2) + 1 : 1);
  const middle = Math.min(width - 1, Math.max(1, at(0)));
  const [a, b] = [Math.min(middle, at(J)), Math.max(middle, at(J))];
  const zero = middle > 90 && middle < width - 90 ? [svg("text", { x: middle, y: 38, class: "tick middle" }, "0")] : [];
  meter.replaceChildren(
    svg("rect", { x: 0, y: 6, width, height: 12, rx: 6, class: "meter under" }),
    svg("rect", { x: a, y: 6, width: Math.max(1, b - a), height: 12, class: "meter" }),
    svg("path", { d: `M${at(J)} 1V23`, class: "meter best" }),
    svg("text", { x: 0, y: 38, class: "tick" }, `worst ${format(worst, 2)}`),
    ...zero,
    svg("text", { x: width, y: 38, class: "tick end" }, `best ${format(best, 2)}`),
  );
}

// A thousand walkers.

const CROWD = 1000;
function drawHistogram({ dropped, seed }, pi, found) {
  const random = generator(7 * seed + 1);
  const step = walker(endless, pi);
  let crowd = Array.from({ length: CROWD }, () => drawFrom(random, mdp.start));
  for (let t = 0; t < dropped; t++) crowd = crowd.map((s) => step(random, s).next);
  const counts = new Array(mdp.S).fill(0);
  for (const s of crowd) counts[s] += 1 / CROWD;
  const normal = scale(found.visits, 1 / sum(found.visits));
  const chart = picture("histogram");
  const shown = dropped ? counts : counts.map(() => 0);
  const top = 1.1 * Math.max(...found.time, ...normal, ...shown);
  const on = frame(chart, { x: [0, mdp.S], y: [0, top], height: 210, xTicks: 0 });
  const wide = on.toX(1) - on.toX(0);
  chart.append(...counts.flatMap((_, s) => [
    svg("rect", { x: on.toX(s) + 0.12 * wide, width: 0.5 * wide, y: on.toY(shown[s]), height: on.bottom - on.toY(shown[s]), class: "crowd", "data-count": shown[s] }),
    svg("rect", { x: on.toX(s) + 0.66 * wide, width: 0.2 * wide, y: on.toY(normal[s]), height: on.bottom - on.toY(normal[s]), class: "eta" }),
    svg("path", { d: `M${on.toX(s) + 0.06 * wide} ${on.toY(found.time[s])}h${0.62 * wide}`, class: "line time" }),
    ...(mdp.S > 16 ? [] : [svg("text", { x: on.toX(s + 0.5), y: on.bottom + 15 + (wide < 52 ? 13 * (s % 2) : 0), class: "tick middle" }, shortName(s))]),
  ]));
  chart.append(
    svg("rect", { x: on.right - 208, y: 4, width: 12, height: 12, class: "crowd" }), svg("text", { x: on.right - 192, y: 15, class: "label" }, "walkers"),
    svg("path", { d: `M${on.right - 132} 10h16`, class: "line time" }), svg("text", { x: on.right - 112, y: 15, class: "label" }, "d"),
    svg("rect", { x: on.right - 84, y: 4, width: 12, height: 12, class: "eta" }), svg("text", { x: on.right - 68, y: 15, class: "label" }, "η / Ση"),
  );
  const apart = sum(counts.map((c, s) => Math.abs(c - found.time[s]))) / 2;
  say("drop-words", dropped ? `After ${dropped} steps ${format(100 * apart, 1)} % of them stand elsewhere than d says.` : "");
}

const shortName = (s) => (mdp.names[s] || mdp.cells[s].map((i) => i + 1).join(",")).slice(0, mdp.S > 8 ? 6 : 9);

function drawFrom(random, probabilities) {
  let u = random();
  for (let s = 0; s < probabilities.length; s++) if ((u -= probabilities[s]) < 0) return s;
  return probabilities.length - 1;
}

// Two knobs.

const knobs = new Plane(picture("knobs"), { reach: 3, xLabel: "θ right →", yLabel: "θ up →", names: data.knobs });
if (data.knobs) data.knobs.forEach((name, k) => (document.querySelector(`[data-knob="${k}"]`).textContent = name));
knobs.axes([-2, -1, 0, 1, 2]);

function drawKnobs({ right, up, gamma }) {
  const theta = [right, up];
  const policy = softmaxPolicy(mdp, theta);
  const chain = chainOf(mdp, policy.pi);
  const V = stateValues(chain, gamma);
  const slope = weighted(visitation(chain, gamma, mdp.start), actionValues(mdp, V, gamma), policy.dpi);
  show("right", right);
  show("up", up);
  show("knob-objective", dot(mdp.start, V));
  showVector("knob-gradient", slope);
  knobs.clear();
  if (norm(slope) > 1e-12) knobs.arrow(theta, add(theta, scale(slope, 1.3 / norm(slope))), "gradient");
  knobs.dot(theta, 8, "here");
}

const knobPlane = picture("knobs");
const turnTo = (event) => {
  const [right, up] = knobs.pointAt(event).map((x) => Number(Math.min(3, Math.max(-3, x)).toFixed(2)));
  store.set({ right, up });
};
knobPlane.addEventListener("pointerdown", (event) => {
  knobPlane.setPointerCapture(event.pointerId);
  turnTo(event);
});
knobPlane.addEventListener("pointermove", (event) => event.buttons && turnTo(event));

function drawAll(values) {
  const pi = tableOf(values.weights);
  const found = evaluate(pi, values.gamma);
  drawPolicy(values, pi, found);
  showSums(found, values.gamma);
  drawMeter(found.objective, values.gamma);
  drawHistogram(values, pi, found);
  drawKnobs(values);
}

for (const slider of document.querySelectorAll("[data-action]")) {
  slider.addEventListener("input", () => turn(store.values.cell, Number(slider.dataset.action), Number(slider.value)));
}
onClick("uniform", () => remember(uniform));
onClick("best", () => remember(oneHot(optimal(mdp, store.values.gamma).choice, mdp.A)));
onClick("undo", () => past.length && store.set({ weights: past.pop() }));
onClick("drop", () => store.set({ dropped: 200, seed: (store.values.seed % 9999) + 1 }));
onClick("on", () => store.set({ dropped: Math.min(400, store.values.dropped + 10) }));

store.start(drawAll);
onResize(["meter", "histogram"].map(picture), () => drawAll(store.values));
recall();
