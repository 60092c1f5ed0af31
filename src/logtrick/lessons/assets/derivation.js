import { choice, number, text } from "./address.js";
import { calculus, identities, READINGS } from "./calculus.js";
import { add, angleBetween, norm, points, scale } from "./linear.js";
import { readMDP, softmaxPolicy } from "./mdp.js";
import { check, data, format, onClick, picture, say, show, showVector, Store, unfold } from "./page.js";
import { Plane } from "./plane.js";
import { recall } from "./recall.js";

const mdp = readMDP(data.world);
const policyAt = (theta) => softmaxPolicy(mdp, theta);
const all = (terms) => terms.reduce(add, [0, 0]);

check(({ reading, theta, gamma }) => {
  const c = calculus(mdp, policyAt(theta), gamma);
  const { truth, lines } = READINGS[reading](c);
  const { gainSlope, dropped } = identities(c, reading);
  return { truth, lines: lines.map(all), dropped: reading === "stationary" ? ratio(dropped, gainSlope) : 0 };
});

/** ‖x‖/‖y‖; 0 where there is nothing to compare with. */
function ratio(x, y) {
  return points(y) ? norm(x) / norm(y) : 0;
}

const NINES = -Math.log10(1 - mdp.gamma);
const store = new Store({
  reading: choice("stationary", "start", "stationary", "average"), nines: number(NINES, 0.1, 4),
  right: number(data.theta[0], -3, 3), up: number(data.theta[1], -3, 3),
  line: choice("D2", "D1", "D2", "D3", "D4", "D5", "D6", "D7"),
  deleted: text("", /^(?:(?:start|stationary|average)-D[1-7]-[01],?)*$/), answer: choice("", "D2", "D5", "D7", "none"),
});
const compare = new Plane(picture("compare"), { reach: 1, xLabel: "θ right →", yLabel: "θ up →", names: data.knobs });
const split = new Plane(picture("dropped"), { reach: 1, xLabel: "θ right →", yLabel: "θ up →", names: data.knobs });
data.knobs?.forEach((name, k) => {
  const label = document.querySelector(`[data-knob="${k}"]`);
  label.textContent = name;
  label.parentElement.querySelector("input").setAttribute("aria-label", name);
});

/** Degrees that are rounding. */
const TRUE = 1e-6;

const tiny = (x) => (x < 1e-13 ? "0" : format(x));
const deletedOf = ({ deleted }) => new Set(deleted.split(",").filter(Boolean));

/** 1 − 10^(−nines), in as many digits as it has. */
const gammaOf = (nines) => (nines === NINES ? mdp.gamma : 1 - 10 ** -nines);
const gammaWords = (nines) => gammaOf(nines).toFixed(Math.max(2, Math.ceil(nines) + 1)).replace(/0+$/, "").replace(/\.$/, ".0");

let pointed = "";
function drawAll(values) {
  const { reading, nines, up, right } = values;
  const gamma = gammaOf(nines);
  show("gamma", gamma, gammaWords(nines));
  show("up", up);
  show("right", right);
  const c = calculus(mdp, policyAt([right, up]), gamma);
  const found = READINGS[reading](c);
  say("truth-name", found.name);
  showVector("truth", found.truth);
  const [name, size] = found.normaliser;
  show("normaliser", size, `${name} = ${format(size, size < 10 ? 2 : 1)}`);
  for (const part of document.querySelectorAll("[data-reading]")) part.hidden = part.dataset.reading !== reading;
  drawAnswer(values, c);
  drawLines(values, found);
  drawIdentities(c, identities(c, reading));
}

// The seven lines.

function drawLines(values, { truth, lines }) {
  const { reading, line: chosen } = values;
  const gone = deletedOf(values);
  lines.forEach((terms, i) => {
    const name = `D${i + 1}`;
    const full = `${reading}-${name}`;
    const left = all(terms.filter((_, t) => !gone.has(`${full}-${t}`)));
    terms.forEach((term, t) => {
      showVector(`${full}-${t}`, term);
      const button = document.querySelector(`[data-term="${full}-${t}"]`);
      button.setAttribute("aria-pressed", String(gone.has(`${full}-${t}`)));
    });
    showVector(`${full}-left`, left);
    showVector(name, left);
    const off = angleBetween(left, truth);
    show(`${name}-verdict`, off, verdict(off));
    document.querySelector(`[data-live="${name}-verdict"]`).classList.toggle("right", off < TRUE);
    document.querySelector(`[data-live="${name}-verdict"]`).classList.toggle("wrong", off >= TRUE);
    document.querySelector(`[data-line="${name}"]`).setAttribute("aria-pressed", String(chosen === name));
  });
  drawCompare(reading, chosen, lines, truth, gone);
}

function verdict(degrees) {
  if (Number.isNaN(degrees)) return "no direction";
  return degrees < TRUE ? "✓ true" : `✗ ${format(degrees, 1)}° off`;
}

function drawCompare(reading, chosen, lines, truth, gone) {
  const index = Number(chosen.slice(1)) - 1;
  const name = `${reading}-D${index + 1}`;
  const kept = lines[index].map((term, t) => ({ term, name: `${name}-${t}` })).filter((one) => !gone.has(one.name));
  const left = all(kept.map((one) => one.term));
  const unit = norm(truth) || 1;
  const size = Math.max(norm(left), ...kept.map((one) => norm(one.term)), 1e-12);
  compare.axes([]);
  compare.clear();
  if (points(truth)) compare.arrow([0, 0], scale(truth, 0.8 / unit), "gradient");
  let from = [0, 0];
  if (kept.length > 1) {
    for (const one of kept) {
      const to = add(from, scale(one.term, 0.8 / size));
      compare.arrow(from, to, one.name === pointed ? "term hot" : "term", 9);
      from = to;
    }
  }
  if (points(left)) compare.arrow([0, 0], scale(left, 0.8 / size), "estimate");
  if (points(truth)) compare.label("truth", scale(truth, 0.8 / unit));
  const off = angleBetween(left, truth);
  say("compare-words", Number.isNaN(off) ? `${chosen} has no direction to compare.`
    : `${chosen} points ${off < TRUE ? "the true way" : `${format(off, 1)}° away`}.`);
}

// The identities.

function drawIdentities(c, found) {
  for (const name of ["I2", "I3", "I4"]) {
    const [left, right] = found[name];
    showVector(`${name}-left`, left);
    showVector(`${name}-right`, right);
    const difference = norm(add(left, scale(right, -1)));
    show(name, difference, tiny(difference));
  }
  showVector("I4-dropped", found.dropped);
  const share = ratio(found.dropped, found.gainSlope);
  show("share", share, `${format(100 * share, share < 0.0995 ? 2 : 0)} %`);
  const lost = ratio(found.I2[1], c.pull(mdp.start, c.dV));
  show("I2-lost", lost, `${format(100 * lost, 0)} %`);
  drawDropped(found);
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

// The question.

function drawAnswer({ answer, reading }, c) {
  for (const part of document.querySelectorAll("[data-after-answer]")) part.hidden = !answer;
  const { dropped, gainSlope } = identities(c, "stationary");
  const lost = `with time weights the dropped term is ${format(100 * ratio(dropped, gainSlope), 0)} % of the gradient`;
  if (answer && !points(gainSlope)) say("answer-words", "Here ∇r̄ is 0: what comes in per step is the same whatever one does.");
  else say("answer-words", answer && (reading === "stationary"
    ? `${answer === "D2" ? "Yes, D2:" : "It is D2:"} ${lost}.`
    : "Under this reading no step is loose."));
}

// Controls.

addEventListener("click", (event) => {
  const term = event.target.closest("[data-term]")?.dataset.term;
  const head = event.target.closest("[data-line]")?.dataset.line;
  if (term) {
    const gone = deletedOf(store.values);
    if (!gone.delete(term)) gone.add(term);
    store.set({ deleted: [...gone].join(","), line: term.split("-")[1] });
  } else if (head) store.set({ line: head });
});
for (const button of document.querySelectorAll("[data-term], [data-line]")) {
  const point = (name) => () => {
    if (pointed === name) return;
    pointed = name;
    for (const other of document.querySelectorAll("[data-term]")) other.classList.toggle("hot", other.dataset.term === name && name !== "");
    store.set(button.dataset.term && name ? { line: name.split("-")[1] } : {});
  };
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, point(button.dataset.term ?? ""));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, point(""));
}
onClick("restore", () => store.set({ deleted: "" }));

if (store.values.deleted) unfold(document.querySelector("[data-term]"));
store.start(drawAll);
recall();
