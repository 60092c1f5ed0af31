import { flag, numbers, text, whole } from "./address.js";
import { contextOf, moments } from "./estimators.js";
import { Garden, valueColours } from "./garden.js";
import { add, dot, norm, scale, sum } from "./linear.js";
import {
  actionValues, chainOf, oneHot, optimal, readMDP, softmaxPolicy, stateValues, stationary, stationaryGradients,
  visitation, weighted,
} from "./mdp.js";
import { check, data, format, onClick, picture, say, show, Store } from "./page.js";
import { recall } from "./recall.js";

const [garden, loop, fixture] = ["plain", "loop", "fixture"].map((name) => readMDP(data.mdps[name]));
const GAMMA = 0.9;
const [HOME, WRONG] = [garden.start.indexOf(1), 5];
const best = optimal(garden, GAMMA);
const spoiled = oneHot(best.choice.map((a, s) => (s === WRONG ? 1 : a)), garden.A);

/** The garden's estimators with both knobs at 0. */
function estimators(skill) {
  const context = contextOf(garden, softmaxPolicy(garden, [0, 0]), { gamma: GAMMA, skill, lambda: 0.9 });
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

/** What somebody typed as a number: 0.667, 0,667, .667, 2/3, 40 %; NaN where it is none. */
export function readNumber(typed) {
  const plain = typed.trim().replaceAll(",", ".").replaceAll("\u2212", "-");
  const found = plain.match(/^(-?(?:\d+\.?\d*|\.\d+))(?:\s*\/\s*(\d+\.?\d*|\.\d+))?\s*(%?)$/);
  if (!found) return NaN;
  return (Number(found[1]) / Number(found[2] ?? 1)) / (found[3] ? 100 : 1);
}

const TYPED = /^.{0,20}$/u; // anything, so that a word is told apart from nothing
const marks = Object.fromEntries(data.estimators.map((name) => [`m_${name}`, flag]));
const SHUFFLED = [4, 1, 6, 0, 3, 5, 2];
const store = new Store({
  a1: text("", TYPED), a2: text("", TYPED), a4: text("", TYPED), a7: text("", TYPED), a8: text("", TYPED),
  a6: text("", /^[a-z_]{0,20}$/), a10: text("", /^(D[1-7])?$/), a11: text("", /^[a-zA-Z]{0,5}$/), ...marks,
  cell: whole(HOME, 0, garden.S - 1), x3: numbers(spoiled.flat().map((p) => 100 * p), 0, 100),
  order: text(SHUFFLED.join(""), /^(?!.*(.).*\1)[0-6]{7}$/),
});
const patch = new Garden(picture("mend"), garden, {
  pick: (cell) => store.setNow({ cell }),
  pull: (cell, action, p) => turn(cell, action, p),
  label: "A policy with one bad cell: choose a cell, then drag",
});

function tableOf(weights) {
  return garden.R.map((_, s) => {
    const row = weights.slice(4 * s, 4 * s + 4);
    return sum(row) > 0 ? scale(row, 1 / sum(row)) : row.map(() => 0.25);
  });
}

function turn(cell, action, p) {
  const table = tableOf(store.values.x3);
  table[cell] = table[cell].map((_, a) => (a === action ? p : (1 - p) / 3));
  store.set({ x3: table.flat().map((q) => Number((100 * q).toFixed(2))) });
}
onClick("send", ({ dataset }) => turn(store.values.cell, Number(dataset.move), 1));

/** A typed number is right within this of the truth. */
function typed(key, truth, within, hint) {
  return {
    answer: (values) => values[key],
    grade: (given) => {
      const x = readNumber(given);
      if (Number.isNaN(x)) return [false, "Write a number: 0.5, 0,5 or 1/2."];
      return [Math.abs(x - truth) <= within, hint(x)];
    },
  };
}
const side = (truth) => (x) => (x > truth ? "Too much." : "Too little.");
const root = (0.1875) ** (1 / 3);

/** Number of the exercise -> the answer that stands there, and what is said of it. */
const EXERCISES = {
  1: typed("a1", 0.5 ** 0.2, 0.006, side(0.5 ** 0.2)),
  2: typed("a2", loopValue, 0.004, side(loopValue)),
  3: {
    answer: ({ x3 }) => String(x3),
    grade: (given) => {
      const J = stateValues(chainOf(garden, tableOf(given.split(",").map(Number))), GAMMA)[HOME];
      return [J > best.V[HOME] * 0.99, `J is at ${format((100 * J) / best.V[HOME], 0)} % of the best.`];
    },
  },
  4: typed("a4", 2 / 3, 0.004, (p) => (p >= 0 && p <= 1 ? `That p gives ${format(100 * loopTime(p), 1)} %.` : "A probability lies between 0 and 1.")),
  5: {
    answer: (values) => data.estimators.filter((name) => values[`m_${name}`]).join(" "),
    grade: (given) => {
      const chosen = given.split(" ");
      const wrong = data.estimators.filter((name) => chosen.includes(name) !== withHalf[name].bias < 1e-9).length;
      return [wrong === 0, `${wrong} of 6 ${wrong === 1 ? "is" : "are"} not right.`];
    },
  },
  6: {
    answer: ({ a6 }) => a6,
    grade: (given) => {
      const spread = withExact[given]?.spread ?? Infinity;
      return [Object.values(withExact).every((one) => one.spread >= spread), `Its spread is ${format(spread)}.`];
    },
  },
  7: typed("a7", root, 0.0006, (x) => `There the update is ${format(withoutWeights(Math.min(1, Math.max(0, x))))}.`),
  8: typed("a8", 0.93, 0.0005, (x) => (x >= 0 && x < 1 ? `It drops ${format(100 * droppedShare(x), 1)} %${x > 0.93 ? ", and a smaller γ would do" : ""}.` : "γ lies between 0 and 1.")),
  9: { answer: ({ order }) => order, grade: (given) => {
    const first = [...given].findIndex((line, i) => Number(line) !== i);
    return [first < 0, `Line ${first + 1} belongs elsewhere.`];
  } },
  10: { answer: ({ a10 }) => a10, grade: (given) => [given === "D5", "That line follows from the one before it."] },
  11: { answer: ({ a11 }) => a11, grade: (given) => [given === "d", "That one means something else."] },
};

/** Number of the exercise -> the answer that was committed to. */
const committed = new Map();

function gradeAll(values) {
  let solved = 0;
  for (const [number, { answer, grade }] of Object.entries(EXERCISES)) {
    const given = committed.get(number);
    const same = given !== undefined && given === answer(values);
    const [right, words] = same ? grade(given) : [false, ""];
    solved += right;
    document.querySelector(`[data-exercise="${number}"]`).classList.toggle("solved", right);
    say(`grade${number}`, right ? "✓ Right." : same ? `✗ ${words}` : "");
    document.querySelector(`[data-solution="${number}"]`).hidden = given === undefined;
  }
  show("solved", solved, String(solved));
  show("all-exercises", Object.keys(EXERCISES).length, String(Object.keys(EXERCISES).length));
}

for (const button of document.querySelectorAll("[data-check]")) {
  button.addEventListener("click", () => {
    const { check: number } = button.dataset;
    const given = EXERCISES[number].answer(store.values);
    if (given === "") say(`grade${number}`, "Answer first.");
    else committed.set(number, given) && store.set({});
  });
}

// The seven lines, to be put in order.

const rows = [...document.querySelectorAll("[data-line-of]")];
function drawOrder({ order }) {
  const list = document.querySelector(".ordering");
  const wanted = [...order].map((line) => rows[Number(line)]);
  if (wanted.some((row, i) => list.children[i] !== row)) list.append(...wanted);
  wanted.forEach((row, i) => {
    row.querySelector("[data-up]").disabled = i === 0;
    row.querySelector("[data-down]").disabled = i === 6;
  });
}
function shift(line, by) {
  const order = [...store.values.order];
  const at = order.indexOf(line);
  [order[at], order[at + by]] = [order[at + by], order[at]];
  store.setNow({ order: order.join("") });
  const row = rows[Number(line)];
  const [wanted, other] = by < 0 ? ["[data-up]", "[data-down]"] : ["[data-down]", "[data-up]"];
  (row.querySelector(wanted).disabled ? row.querySelector(other) : row.querySelector(wanted)).focus();
}
for (const row of rows) {
  row.querySelector("[data-up]").addEventListener("click", () => shift(row.dataset.lineOf, -1));
  row.querySelector("[data-down]").addEventListener("click", () => shift(row.dataset.lineOf, 1));
}

function drawAll(values) {
  gradeAll(values);
  drawOrder(values);
  const pi = tableOf(values.x3);
  const V = stateValues(chainOf(garden, pi), GAMMA);
  const meal = (s) => garden.names[s] === "salad" || garden.names[s] === "poison";
  patch.draw({
    fill: valueColours(V), texts: V.map((v) => format(v, 2)), values: V, chosen: values.cell,
    pi: pi.map((row, s) => (meal(s) ? [0, 0, 0, 0] : row)),
  });
}

store.start(drawAll);
recall();
