import { contextOf, moments } from "./estimators.js";
import { Garden, valueColours } from "./garden.js";
import { add, dot, norm, scale, sum } from "./linear.js";
import {
  actionValues, chainOf, oneHot, optimal, readMDP, sharedSoftmax, stateValues, stationary, stationaryGradients,
  visitation, weighted,
} from "./mdp.js";
import { check, data, format, onClick, say, show, Store } from "./page.js";
import { recall } from "./recall.js";

const [garden, loop, fixture] = ["plain", "loop", "fixture"].map((name) => readMDP(data.mdps[name]));
const GAMMA = 0.9;
const [HOME, WRONG] = [garden.start.indexOf(1), 5];
const best = optimal(garden, GAMMA);
const spoiled = oneHot(best.choice.map((a, s) => (s === WRONG ? 1 : a)), garden.A);

/** The garden's estimators with both knobs at 0. */
function estimators(skill) {
  const context = contextOf(garden, sharedSoftmax(data.features, [0, 0], garden.S), { gamma: GAMMA, skill, lambda: 0.9 });
  const slope = weighted(visitation(context.chain, GAMMA, garden.start), context.Q, context.policy.dpi);
  return Object.fromEntries(data.estimators.map((name) => {
    const { mean, covariance } = moments(name, context);
    return [name, { bias: norm(add(mean, scale(slope, -1))), spread: Math.sqrt(covariance[0][0] + covariance[1][1]) }];
  }));
}
const [withHalf, withExact] = [estimators(0.5), estimators(1)];

function knob(mdp, p) {
  const rows = (row) => mdp.R.map(() => row);
  return { pi: rows([p, 1 - p]), dpi: [rows([p * (1 - p), -p * (1 - p)])] };
}

/** The update without γ^t in the five-state world, at p = ½. */
function withoutWeights(gamma) {
  const { pi, dpi } = knob(fixture, 0.5);
  const chain = chainOf(fixture, pi);
  const Q = actionValues(fixture, stateValues(chain, gamma), gamma);
  return weighted(visitation(chain, 1, fixture.start), Q, dpi)[0];
}

/** The share of ∇r̄ that is dropped in the two-state loop, at p = ½. */
function droppedShare(gamma) {
  const { pi, dpi } = knob(loop, 0.5);
  const chain = chainOf(loop, pi);
  const d = stationary(chain);
  const V = stateValues(chain, gamma);
  const kept = weighted(d, actionValues(loop, V, gamma), dpi)[0];
  const dropped = (1 - gamma) * dot(stationaryGradients(loop, chain, d, dpi)[0], V);
  return dropped / (kept + dropped);
}

const loopTime = (p) => stationary(chainOf(loop, knob(loop, p).pi))[1];
const loopValue = stateValues(chainOf(loop, knob(loop, 1).pi), 0.5)[0];

check(() => ({
  loopValue,
  best: best.V[HOME],
  loopTime: loopTime(0.3),
  biases: data.estimators.map((name) => withHalf[name].bias),
  spreads: data.estimators.map((name) => withExact[name].spread),
  without: withoutWeights(0.7),
  dropped: droppedShare(0.8),
}));

const MARKS = { x5a: "reward_to_go", x5b: "baselined_return", x5c: "q_value", x5d: "advantage", x5e: "td_residual", x5f: "gae" };
const store = new Store({
  x1: 0.7, x2: "", cell: HOME, x3: spoiled.flat().map((p) => 100 * p), x4: 0.2,
  x5a: false, x5b: false, x5c: false, x5d: false, x5e: false, x5f: false,
  x6: "", x7: 0.3, x8: 0.6,
});
const patch = new Garden(document.querySelector('[data-picture="mend"]'), garden, {
  pick: (cell) => store.set({ cell }),
  pull: (cell, action, p) => turn(cell, action, p),
  label: "A policy with one bad cell: choose a cell, then drag",
});

function tableOf(weights) {
  return garden.R.map((_, s) => {
    const row = weights.slice(4 * s, 4 * s + 4);
    return scale(row, 1 / sum(row));
  });
}

function turn(cell, action, p) {
  const table = tableOf(store.values.x3);
  table[cell] = table[cell].map((_, a) => (a === action ? p : (1 - p) / 3));
  store.set({ x3: table.flat().map((q) => Number((100 * q).toFixed(2))) });
}
onClick("send", ({ dataset }) => turn(store.values.cell, Number(dataset.move), 1));

/** Each exercise: is it solved, and what to say. */
const GRADERS = [
  ({ x1 }) => [Math.abs(x1 ** 5 - 0.5) < 0.004, `γ⁵ = ${format(x1 ** 5)}`],
  ({ x2 }) => [
    x2 !== "" && Math.abs(Number(x2) - loopValue) < 0.004,
    x2 === "" ? "Write a number." : `${format(loopValue, 4)} is 2/3: V(s₁) = 4/3 pays 1 now and a quarter of itself in two steps.`,
    x2 === "" ? "Write a number." : Number(x2) > loopValue ? "That is too much." : "That is too little.",
  ],
  ({ x3 }) => {
    const J = objective(x3);
    return [J > best.V[HOME] * 0.99, "That arrow led straight into the poison.", `J is at ${format((100 * J) / best.V[HOME], 0)} % of the best.`];
  },
  ({ x4 }) => [Math.abs(loopTime(x4) - 0.4) < 0.003, `d(s₁) = ${format(100 * loopTime(x4), 1)} %, which is p/(1+p).`],
  (values) => {
    const marks = Object.entries(MARKS).map(([key, name]) => values[key] === withHalf[name].bias < 1e-9);
    const wrong = marks.filter((good) => !good).length;
    const none = !Object.keys(MARKS).some((key) => values[key]);
    return [wrong === 0, "The two that trust the critic for the future are off: " +
      `δ by ${format(withHalf.td_residual.bias)}, GAE by ${format(withHalf.gae.bias)}. As a baseline the same critic does no harm.`,
      none ? "Mark all that are." : `${wrong} of 6 ${wrong === 1 ? "is" : "are"} not right yet.`];
  },
  ({ x6 }) => {
    const smallest = Object.values(withExact).every(({ spread }) => spread >= (withExact[x6]?.spread ?? Infinity));
    return [x6 !== "" && smallest, x6 ? `Its spread is ${format(withExact[x6]?.spread ?? NaN)}.` : "Choose one."];
  },
  ({ x7 }) => [Math.abs(withoutWeights(x7)) < 0.02, `The update is ${format(withoutWeights(x7))}.`],
  ({ x8 }) => [
    droppedShare(x8) <= 0.05 && droppedShare(x8 - 0.01) > 0.05,
    `It drops ${format(100 * droppedShare(x8), 1)} %${droppedShare(x8) <= 0.05 ? ", and a smaller γ would do" : ""}.`,
    undefined, `It drops ${format(100 * droppedShare(x8), 1)} %.`,
  ],
];

function objective(weights) {
  return stateValues(chainOf(garden, tableOf(weights)), GAMMA)[HOME];
}

function drawAll(values) {
  let solved = 0;
  GRADERS.forEach((grader, i) => {
    const [right, words, hint = words, praise = words] = grader(values);
    solved += right;
    document.querySelector(`[data-exercise="${i + 1}"]`).classList.toggle("solved", right);
    say(`grade${i + 1}`, right ? `Right. ${praise}` : hint);
  });
  show("solved", solved, String(solved));
  for (const name of ["x1", "x4", "x7", "x8"]) show(name, values[name]);
  const pi = tableOf(values.x3);
  const V = stateValues(chainOf(garden, pi), GAMMA);
  show("x3", V[HOME]);
  show("x3-best", best.V[HOME]);
  const meal = (s) => garden.names[s] === "salad" || garden.names[s] === "poison";
  patch.draw({
    fill: valueColours(V), texts: V.map((v) => format(v, 2)), values: V, chosen: values.cell,
    pi: pi.map((row, s) => (meal(s) ? [0, 0, 0, 0] : row)),
  });
}

store.start(drawAll);
recall(store);
