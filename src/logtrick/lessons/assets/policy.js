import { Garden, stateName, valueColours } from "./garden.js";
import { dot, scale, sum } from "./linear.js";
import { chainOf, oneHot, optimal, readMDP, stateValues, stationary, visitation } from "./mdp.js";
import { check, data, format, onClick, say, show, Store } from "./page.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const mdp = readMDP(data.mdps.plain);
const [HOME, SALAD, POISON] = ["home", "salad", "poison"].map((name) => mdp.names.indexOf(name));
const ACTIONS = [0, 1, 2, 3];

/** Everything that the page shows of a policy. */
function evaluate(pi, gamma) {
  const chain = chainOf(mdp, pi);
  const [values, visits, time] = [stateValues(chain, gamma), visitation(chain, gamma, mdp.start), stationary(chain)];
  return {
    values, visits, time,
    objective: dot(mdp.start, values),
    byVisits: dot(visits, chain.r),
    gain: dot(time, chain.r),
    weighted: dot(time, values),
    nobody: dot(visits, values),
  };
}

check(({ pi, gamma }) => evaluate(pi, gamma));

const store = new Store({ gamma: 0.9, layer: "value", cell: HOME, weights: new Array(4 * mdp.S).fill(25) });
const history_ = [];
const picture = (name) => document.querySelector(`[data-picture="${name}"]`);
const garden = new Garden(picture("policy"), mdp, {
  pick: (cell) => store.set({ cell }),
  pull: (cell, action, p) => turn(cell, action, p),
  label: "The policy: choose a cell, then set its probabilities",
});

/** The table of a flat list of weights; each cell's are divided by their sum. */
function tableOf(weights) {
  return mdp.R.map((_, s) => {
    const row = weights.slice(4 * s, 4 * s + 4);
    return scale(row, 1 / sum(row));
  });
}

/** Give an action in a cell this probability; the others keep their proportions. */
function turn(cell, action, p) {
  const table = tableOf(store.values.weights);
  const rest = 1 - table[cell][action];
  table[cell] = table[cell].map((q, a) => (a === action ? p : rest > 1e-9 ? (q * (1 - p)) / rest : (1 - p) / 3));
  remember(table);
}

function remember(table) {
  history_.push(store.values.weights);
  store.set({ weights: table.flat().map((p) => Number((100 * p).toFixed(2))) });
}

const LAYERS = {
  value: {
    symbol: "V", fill: ({ values }) => valueColours(values), number: (v) => format(v, 2),
    words: "Colour: the value of each cell under this policy. Blue is worth something, red costs.",
  },
  time: {
    symbol: "d", fill: ({ time }) => shares(time), number: (v) => `${format(100 * v, v < 0.0995 ? 1 : 0)} %`,
    words: "Colour: the share of its time that the snail spends in each cell, in the long run. It sums to 100 %.",
  },
  visits: {
    symbol: "η", fill: ({ visits }) => shares(visits), number: (v) => format(v, 2),
    words: "Colour: discounted visits to each cell, counted from home.",
  },
};

function shares(weights) {
  const most = Math.max(...weights);
  return weights.map((w) => ["visits-fill", Math.sqrt(w / most)]);
}

function drawPolicy({ gamma, layer, cell, weights }) {
  const pi = tableOf(weights);
  const found = evaluate(pi, gamma);
  const how = LAYERS[layer] ?? LAYERS.value;
  const numbers = { value: found.values, time: found.time, visits: found.visits }[layer] ?? found.values;
  const meals = new Set([SALAD, POISON]);
  garden.draw({
    fill: how.fill(found), texts: numbers.map(how.number), values: numbers, what: how.symbol,
    pi: pi.map((row, s) => (meals.has(s) ? ACTIONS.map(() => 0) : row)), chosen: cell,
  });
  say("layer-words", how.words);
  say("where", stateName(mdp, cell));
  for (const a of ACTIONS) {
    show(`p${a}`, pi[cell][a]);
    const slider = document.querySelector(`[data-action="${a}"]`);
    slider.value = String(pi[cell][a]);
    slider.style.setProperty("--filled", `${100 * pi[cell][a]}%`);
  }
  showSums(found, gamma);
  drawMeter(found.objective, gamma);
}

function showSums(found, gamma) {
  show("gamma", gamma);
  show("objective", found.objective);
  show("by-values", found.values[HOME]);
  show("by-visits", found.byVisits);
  show("eta-salad", found.visits[SALAD]);
  show("eta-poison", found.visits[POISON]);
  show("d-salad", found.time[SALAD]);
  show("d-poison", found.time[POISON]);
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
  if (!extremes.has(gamma)) {
    extremes.set(gamma, [-optimal(upsideDown, gamma).V[HOME], optimal(mdp, gamma).V[HOME]]);
  }
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
  meter.replaceChildren(
    svg("rect", { x: 0, y: 6, width, height: 12, rx: 6, class: "meter under" }),
    svg("rect", { x: a, y: 6, width: Math.max(1, b - a), height: 12, class: "meter" }),
    svg("path", { d: `M${at(J)} 1V23`, class: "meter best" }),
    svg("text", { x: 0, y: 38, class: "tick" }, `worst ${format(worst, 2)}`),
    svg("text", { x: middle, y: 38, class: "tick middle" }, "0"),
    svg("text", { x: width, y: 38, class: "tick end" }, `best ${format(best, 2)}`),
  );
}

for (const slider of document.querySelectorAll("[data-action]")) {
  slider.addEventListener("input", () => turn(store.values.cell, Number(slider.dataset.action), Number(slider.value)));
}
onClick("uniform", () => remember(mdp.R.map((row) => row.map(() => 0.25))));
onClick("best", () => remember(oneHot(optimal(mdp, store.values.gamma).choice, mdp.A)));
onClick("undo", () => history_.length && store.set({ weights: history_.pop() }));

store.start(drawPolicy);
onResize([picture("meter")], () => drawPolicy(store.values));
recall(store);
