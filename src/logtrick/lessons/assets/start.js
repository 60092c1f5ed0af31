import { choice } from "./address.js";
import { dot } from "./linear.js";
import {
  actionValues, chainOf, readMDP, softmaxPolicy, startOf, stateValues, stationary, stationaryGradients, valueGradients,
} from "./mdp.js";
import { check, data, format, pair, say, show, Store } from "./page.js";

const mdp = readMDP(data.mdps.plain);
const HOME = startOf(mdp);
const UP = 0;

/** The number of each symbol for the snail that wanders. */
function numbersAt(gamma) {
  const policy = softmaxPolicy(mdp, [0, 0]);
  const chain = chainOf(mdp, policy.pi);
  const V = stateValues(chain, gamma);
  const Q = actionValues(mdp, V, gamma);
  const d = stationary(chain);
  const dd = stationaryGradients(mdp, chain, d, policy.dpi);
  const dV = valueGradients(mdp, chain, Q, gamma, policy.dpi);
  const slope = dd.map((g, k) => dot(g, V) + dot(d, dV[k]));
  return {
    policy: policy.pi[HOME][UP], value: V[HOME], q: Q[HOME][UP], time: d[HOME], objective: dot(d, V), slope,
    logarithm: Math.log(policy.pi[HOME][UP]),
  };
}

check(({ gamma }) => numbersAt(gamma));

const GAMMA = 0.9;
const found = numbersAt(GAMMA);
const NUMBERS = {
  s: ["(3, 1)"], a: ["↑"], r: ["+1", 1], γ: [format(GAMMA, 1), GAMMA], Σ: [String(mdp.S), mdp.S], "𝔼": ["1000"],
  V: [format(found.value), found.value], π: [format(found.policy, 2), found.policy], d: [format(found.time), found.time],
  θ: ["(0, 0)"], J: [format(found.objective), found.objective], "∇": [pair(found.slope), found.slope.join(" ")],
  log: [format(found.logarithm), found.logarithm], ψ: [format(found.q), found.q],
};

const buttons = [...document.querySelectorAll(".symbols [data-symbol]")];
const signs = buttons.map((button) => button.dataset.symbol);
const store = new Store({ symbol: choice("V", ...signs) });
const link = document.querySelector("[data-symbol-link]");

/** The symbol of an element of a formula. */
function signOf(element) {
  const text = element.textContent === "∑" ? "Σ" : element.textContent;
  return signs.includes(text) ? text : null;
}
const inFormulas = [...document.querySelectorAll(".whole-thing .formula :is(mi, mo)")].filter(signOf);

function draw({ symbol }) {
  const { name, meaning, page, number } = data.symbols[signs.indexOf(symbol)];
  buttons.forEach((button) => {
    const on = button.dataset.symbol === symbol;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
  });
  for (const element of inFormulas) element.classList.toggle("lit", signOf(element) === symbol);
  const [words, value] = NUMBERS[symbol];
  say("symbol-name", `${symbol}, ${name}`);
  show("symbol-number", value ?? words, words);
  say("symbol-meaning", `${meaning}${number && ` (${number})`}`);
  link.setAttribute("href", `${page}.html`);
}

for (const element of inFormulas) {
  for (const event of ["pointerenter", "click"]) element.addEventListener(event, () => store.set({ symbol: signOf(element) }));
}
buttons.forEach((button, i) => {
  for (const event of ["pointerenter", "click", "focus"]) button.addEventListener(event, () => store.set({ symbol: signs[i] }));
  button.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = (i + step + signs.length) % signs.length;
    store.setNow({ symbol: signs[to] });
    buttons[to].focus();
  });
});
store.start(draw);
