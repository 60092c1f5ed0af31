import { calculus, identities, READINGS } from "./calculus.js";
import { frame, level, line } from "./chart.js";
import { Garden } from "./garden.js";
import { add, angleBetween, dot, norm, scale, sum } from "./linear.js";
import { chainOf, readMDP, sharedSoftmax, stateValues } from "./mdp.js";
import { check, data, format, onClick, say, show, Store } from "./page.js";
import { Plane } from "./plane.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const mdp = readMDP(data.mdps.plain);
const policyAt = (theta) => sharedSoftmax(data.features, theta, mdp.S);
const all = (terms) => terms.reduce(add, [0, 0]);

check(({ reading, theta, gamma }) => {
  const c = calculus(mdp, policyAt(theta), gamma);
  const { truth, lines } = READINGS[reading](c);
  const { gainSlope, dropped } = identities(c, reading);
  const share = reading === "stationary" ? norm(dropped) / norm(gainSlope) : 0;
  return { truth, lines: lines.map(all), dropped: share };
});

const store = new Store({
  reading: "stationary", nines: 1, up: 0.8, right: 0.2, line: "D2", deleted: "", answer: "",
});
const picture = (name) => document.querySelector(`[data-picture="${name}"]`);
const compare = new Plane(picture("compare"), { reach: 1, xLabel: "θ right →", yLabel: "θ up →" });
const split = new Plane(picture("dropped"), { reach: 1, xLabel: "θ right →", yLabel: "θ up →" });
const flow = new Garden(picture("flow"), mdp, { label: "The change in visits, cell by cell" });

const pair = (x) => `(${x.map((v) => (Math.abs(v) < 1e-13 ? "0" : format(v, decimals(x)))).join(", ")})`;
const decimals = (x) => (norm(x) >= 10 ? 1 : norm(x) >= 1 ? 2 : norm(x) >= 0.005 ? 3 : 5);
const showVector = (name, x) => show(name, x.join(" "), pair(x));
const tiny = (x) => (x < 1e-13 ? "0" : format(x));
const deletedOf = ({ deleted }) => new Set(deleted.split(",").filter(Boolean));

/** 1 − 10^(−nines), in as many digits as it has. */
const gammaOf = (nines) => 1 - 10 ** -nines;
const gammaWords = (nines) => gammaOf(nines).toFixed(Math.max(2, Math.ceil(nines) + 1)).replace(/0+$/, "").replace(/\.$/, ".0");

function drawAll(values) {
  const { reading, nines, up, right } = values;
  const gamma = gammaOf(nines);
  show("gamma", gamma, gammaWords(nines));
  show("up", up);
  show("right", right);
  const c = calculus(mdp, policyAt([up, right]), gamma);
  const found = READINGS[reading](c);
  say("truth-name", found.name);
  showVector("truth", found.truth);
  for (const list of document.querySelectorAll("[data-reading]")) list.hidden = list.dataset.reading !== reading;
  answer(values, c);
  drawLines(values, found);
  drawIdentities(c, identities(c, reading), reading, nines);
}

// The seven lines.

function drawLines(values, { truth, lines }) {
  const { reading, line: chosen } = values;
  const gone = deletedOf(values);
  lines.forEach((terms, i) => {
    const name = `${reading}-D${i + 1}`;
    const left = all(terms.filter((_, t) => !gone.has(`${name}-${t}`)));
    terms.forEach((term, t) => {
      showVector(`${name}-${t}`, term);
      const button = document.querySelector(`[data-term="${name}-${t}"]`);
      button.setAttribute("aria-pressed", String(gone.has(`${name}-${t}`)));
    });
    showVector(name, left);
    const off = angleBetween(left, truth);
    show(`${name}-verdict`, off, verdict(off));
    document.querySelector(`[data-line="${name}"]`).setAttribute("aria-pressed", String(chosen === `D${i + 1}`));
  });
  drawCompare(reading, chosen, lines, truth, gone);
  say("reading-words", READING_WORDS[reading]);
}

const READING_WORDS = {
  start: "The start distribution has no θ in it. No line is off; but look at what D4 does to the weights.",
  stationary: "This is the reading that most slides print. Look at the step from D1 to D2.",
  average: "Reward per step, with a constant in the place of V. Every line is exact.",
};

function verdict(degrees) {
  if (Number.isNaN(degrees)) return "nothing left";
  return degrees < 1e-6 ? "points true" : `${format(degrees, 1)}° off`;
}

function drawCompare(reading, chosen, lines, truth, gone) {
  const index = Math.max(0, Number(chosen.slice(1)) - 1);
  const name = `${reading}-D${index + 1}`;
  const kept = lines[index].filter((_, t) => !gone.has(`${name}-${t}`));
  const left = all(kept);
  const unit = norm(truth) || 1;
  const size = Math.max(norm(left), ...kept.map(norm), 1e-12);
  compare.axes([]);
  compare.clear();
  compare.arrow([0, 0], scale(truth, 0.8 / unit), "gradient");
  let from = [0, 0];
  if (kept.length > 1) {
    for (const term of kept) {
      const to = add(from, scale(term, 0.8 / size));
      compare.arrow(from, to, "term", 9);
      from = to;
    }
  }
  compare.arrow([0, 0], scale(left, 0.8 / size), "estimate");
  compare.label("truth", scale(truth, 0.8 / unit));
  const off = angleBetween(left, truth);
  say("compare-words", Number.isNaN(off) ? `${chosen}: nothing is left of it.`
    : `${chosen} ${off < 1e-6 ? "points the true way" : `points ${format(off, 1)}° away from the truth`}. The line is red, its terms are pale. Only directions count here.`);
}

// The identities.

function drawIdentities(c, found, reading, nines) {
  const up = scale(found.gainSlope, 1 / (norm(found.gainSlope) || 1));
  const moved = c.V.map((_, s) => dot(up, found.moved.map((g) => g[s])));
  const gains = sum(moved.filter((x) => x > 0));
  const losses = sum(moved.filter((x) => x < 0));
  show("gains", gains, "+" + format(gains));
  show("losses", losses);
  show("I1", norm(found.I1[0]), tiny(norm(found.I1[0])));
  const weighed = dot(moved, c.V);
  show("weighed", weighed);
  say("I1-words", reading === "start" ? "Here d is η divided by its sum." : "Here d is the long-run time d_π.");
  const most = Math.max(...moved.map(Math.abs));
  flow.draw({
    fill: moved.map((x) => [x >= 0 ? "visits-fill" : "bad", Math.sqrt(Math.abs(x) / most)]),
    texts: moved.map((x) => (x > 0 ? "+" : "") + format(x, 3)), values: moved,
  });
  for (const name of ["I2", "I3", "I4"]) {
    const [left, right] = found[name];
    showVector(`${name}-left`, left);
    showVector(`${name}-right`, right);
    const difference = norm(add(left, scale(right, -1)));
    show(name, difference, tiny(difference));
  }
  showVector("I4-dropped", found.dropped);
  const share = norm(found.dropped) / norm(found.gainSlope);
  show("share", share, `${format(100 * share, share < 0.0995 ? 2 : 0)} %`);
  const slope = c.pull(mdp.start, c.dV);
  const lost = norm(found.I2[1]) / norm(slope);
  show("I2-lost", lost, `${format(100 * lost, 0)} %`);
  show("gain", c.gain, format(c.gain, 4));
  const apart = Math.max(...found.I5.map((x) => Math.abs(x - c.gain)));
  show("I5", apart, format(apart, 5));
  drawDropped(found);
  drawLevel(c, nines);
}

function drawDropped({ gainSlope, kept, dropped }) {
  split.reach = 1.25 * Math.max(norm(gainSlope), norm(kept), 1e-9);
  split.axes([]);
  split.clear();
  split.arrow([0, 0], gainSlope, "gradient");
  split.arrow([0, 0], kept, "estimate");
  split.arrow(kept, add(kept, dropped), "visits");
  split.label("truth", gainSlope);
  split.label("kept", kept);
}

/** (1 − γ)V of each state along γ → 1; solved once for each policy. */
const levels = { key: "", table: [] };
function drawLevel(c, nines) {
  const key = c.policy.probabilities.join();
  if (levels.key !== key) {
    const chain = chainOf(mdp, c.policy.pi);
    const at = Array.from({ length: 41 }, (_, i) => i / 10);
    Object.assign(levels, { key, table: at.map((x) => [x, stateValues(chain, gammaOf(x)).map((v) => v * 10 ** -x)]) });
  }
  const chart = picture("level");
  const inView = levels.table.filter(([x]) => x >= 0.3).flatMap(([, values]) => values);
  const [low, high] = [Math.min(...inView), Math.max(...inView)];
  const on = frame(chart, {
    x: [0.1, 4], y: [low - 0.02, high + 0.02], height: 230, xTicks: 0, yLabel: "(1−γ) V(s)",
  });
  for (const x of [1, 2, 3, 4]) {
    chart.append(svg("text", { x: on.toX(x), y: on.bottom + 16, class: `tick ${x === 4 ? "end" : "middle"}` }, gammaWords(x)));
  }
  chart.append(svg("text", { x: on.right, y: on.bottom + 31, class: "label end" }, "γ"));
  for (let s = 0; s < mdp.S; s++) {
    line(chart, on, levels.table.filter(([x]) => x >= 0.1).map(([x, values]) => [x, values[s]]), "value thin");
  }
  level(chart, on, c.gain, "gain", "r̄");
  chart.append(svg("path", { d: `M${on.toX(nines)} ${on.top}V${on.bottom}`, class: "line now" }));
}

// The question.

function answer({ answer: given }, c) {
  document.querySelector("[data-after-answer]").hidden = !given;
  const { dropped, gainSlope } = identities(c, "stationary");
  const share = norm(dropped) / norm(gainSlope);
  const lost = `At this γ the lost term is ${format(100 * share, 0)} % of the gradient`;
  say("answer-words", {
    yes: `The changes in visits cancel; their worth does not. ${lost}. See why below.`,
    no: `A term is lost. ${lost}. And yet the seven lines end well for γ near 1. See why below.`,
    level: `That is it: conservation needs values that are level. ${lost}, since they are not. See below when they are.`,
  }[given] ?? "Answer, and the identities unfold.");
}

// Controls.

addEventListener("click", (event) => {
  const term = event.target.closest("[data-term]")?.dataset.term;
  const head = event.target.closest("[data-line]")?.dataset.line;
  if (term) {
    const gone = deletedOf(store.values);
    if (!gone.delete(term)) gone.add(term);
    store.set({ deleted: [...gone].join(","), line: term.split("-")[1] });
  } else if (head) store.set({ line: head.split("-")[1] });
});
onClick("restore", () => store.set({ deleted: "" }));

store.start(drawAll);
onResize([picture("level")], () => drawAll(store.values));
recall(store);
