import { choice, number, whole } from "./address.js";
import { generator } from "./chance.js";
import { contextOf, moments, sampleEstimates } from "./estimators.js";
import { add, angleBetween, dot, norm, scale } from "./linear.js";
import { frame, line } from "./chart.js";
import { chainOf, readMDP, softmaxPolicy, stateValues, visitation, weighted } from "./mdp.js";
import { check, data, format, onClick, pair, picture, say, show, showVector, Store } from "./page.js";
import { Plane } from "./plane.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const mdp = readMDP(data.mdps.plain);
const ORIGIN = [0, 0];
const clamp = (x) => Math.min(3, Math.max(-3, x));
const DOTS = 160;
const policyAt = (theta) => softmaxPolicy(mdp, theta);

function objective(theta, gamma) {
  return dot(mdp.start, stateValues(chainOf(mdp, policyAt(theta).pi), gamma));
}

/** ∇J = Σ η Σ Q ∇π (G1). */
function gradient(theta, gamma) {
  const context = contextOf(mdp, policyAt(theta), { gamma });
  return weighted(visitation(context.chain, gamma, mdp.start), context.Q, context.policy.dpi);
}

check(({ theta, gamma, skill, lambda }) => {
  const context = contextOf(mdp, policyAt(theta), { gamma, skill, lambda });
  const found = { objective: objective(theta, gamma), gradient: gradient(theta, gamma) };
  for (const name of data.estimators) {
    const { mean, covariance } = moments(name, context);
    found[`${name} mean`] = mean;
    found[`${name} covariance`] = covariance;
  }
  return found;
});

const PSIS = ["total_return", ...data.estimators];
const store = new Store({
  right: number(0, -3, 3), up: number(0, -3, 3), gamma: number(0.9, 0, 0.97), alpha: number(2, 0.2, 8),
  psi: choice("reward_to_go", ...PSIS), power: whole(2, 0, 6), skill: number(1, 0, 1), lambda: number(0.9, 0, 1),
  seed: whole(1, 1, 1e6), raced: whole(0, 0, 1),
});
const scores = new Plane(picture("scores"), { reach: 2.2, xLabel: "θ right →", yLabel: "θ up →" });
const land = new Plane(picture("landscape"), { reach: 3, xLabel: "θ right →", yLabel: "θ up →" });
const cloud = new Plane(picture("cloud"), { reach: 1, xLabel: "∂J / ∂θ right →", yLabel: "∂J / ∂θ up →" });
scores.axes([-2, -1, 0, 1, 2]);
land.axes([-2, -1, 0, 1, 2]);
const NAMES = ["up", "right", "down", "left"];
let trail = [];

// The compass and its scores.

function drawScores(policy) {
  scores.clear();
  NAMES.forEach((name, a) => {
    const score = policy.score.map((table) => table[0][a]);
    scores.arrow(ORIGIN, score, "score");
    scores.label(name, score);
    show(`pi${a}`, policy.pi[0][a]);
    show(`score${a}`, norm(score), pair(score));
  });
}

// The landscape.

let painted = null;
function paintLand(gamma) {
  if (painted === gamma) return;
  painted = gamma;
  const J = (theta) => objective(theta, gamma);
  const corners = [-3, -1.5, 0, 1.5, 3].flatMap((i) => [-3, -1.5, 0, 1.5, 3].map((j) => Math.abs(J([j, i]))));
  const largest = Math.max(...corners, 1e-9);
  const bands = 11;
  land.paint(J, (v) => Math.round(Math.sign(v) * Math.sqrt(Math.abs(v) / largest) * bands), (band) => {
    const share = (78 * Math.min(1, Math.abs(band) / bands)).toFixed(0);
    return `color-mix(in oklab, var(--${band >= 0 ? "good" : "bad"}) ${share}%, var(--cell))`;
  });
}

function drawLand(theta, gamma, slope) {
  paintLand(gamma);
  land.clear();
  land.path([...trail, theta], "trail");
  for (const point of trail) land.dot(point, 3.5, "step");
  const size = norm(slope);
  if (size > 0) land.arrow(theta, add(theta, scale(slope, Math.min(4, 1.3 / size))), "gradient");
  land.dot(theta, 8, "here");
}

// The cloud.

const WORDS = {
  total_return: "Unbiased, but every action is praised for all that ever happened. In a garden that never closes its spread has no bound.",
  reward_to_go: "Unbiased: only what comes after can be merit.",
  baselined_return: "Unbiased whatever is subtracted, as long as it does not depend on the action.",
  q_value: "Unbiased: the average of all rewards to go, if somebody knows it.",
  advantage: "Unbiased: good means better than usual. The calmest of the list at these settings; elsewhere another may be.",
  td_residual: "Unbiased only if the critic is exact. It looks one step ahead and trusts the critic for the rest.",
  gae: "Between the TD residual (λ = 0) and the return minus the baseline (λ = 1).",
};

function horizon(gamma) {
  return gamma < 0.05 ? 5 : Math.min(250, Math.ceil(Math.log(2e-4) / Math.log(gamma)));
}

function drawCloud({ gamma, psi, power, skill, lambda, seed }, policy, slope) {
  const batch = 2 ** power;
  const context = contextOf(mdp, policy, { gamma, skill, lambda });
  const widest = moments("reward_to_go", context).covariance;
  cloud.reach = niceReach(1.6 * Math.sqrt(Math.max(widest[0][0], widest[1][1], 1e-6)) + norm(slope) / 2);
  picture("cloud").dataset.reach = String(cloud.reach);
  cloud.axes([-cloud.reach / 2, 0, cloud.reach / 2]);
  const dots = sampleEstimates(psi, context, { count: DOTS, batch, seed: 613 * seed, steps: horizon(gamma) });
  cloud.clear();
  for (const dot of dots) cloud.dot(dot, 3, "sample");
  const known = psi === "total_return" ? null : moments(psi, context);
  if (known) cloud.oval(known.mean, known.covariance.map((row) => scale(row, 1 / batch)), 2, "oval");
  cloud.arrow(ORIGIN, slope, "gradient");
  if (known) cloud.dot(known.mean, 5, "mean");
  const mean = known ? known.mean : slope;
  const variance = known ? (known.covariance[0][0] + known.covariance[1][1]) / batch : Infinity;
  show("spread", Math.sqrt(variance));
  const bias = norm(add(mean, scale(slope, -1)));
  show("bias", bias, bias < 1e-12 ? "0" : format(bias));
  const angle = angleBetween(mean, slope);
  show("angle", angle, Number.isNaN(angle) ? "–" : `${format(angle, 1)}°`);
  const uphill = dots.filter((estimate) => dot(estimate, slope) > 0).length / dots.length;
  show("uphill", uphill, `${format(100 * uphill, 0)} %`);
  say("psi-words", WORDS[psi] ?? "");
  say("oval-words", known ? "The oval is two standard deviations wide each way, in closed form; its middle is the mean of the estimate." : "");
}

function niceReach(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 1.5, 2, 3, 4, 6, 8, 10].find((m) => m * power >= x);
}

// The race: the same start, seven ψ, J along the way on average over a few climbs.

const RACE = { steps: 30, climbs: 4, batch: 4, alpha: 4 };
const HUES = { total_return: "muted", reward_to_go: "gamma", baselined_return: "objective", q_value: "visits", advantage: "psi", td_residual: "policy", gae: "value" };

/** The mean J after each step of sampled ascent with one ψ. */
function climb(psi, { gamma, skill, lambda, right, up }) {
  const heights = new Array(RACE.steps + 1).fill(0);
  for (let run = 0; run < RACE.climbs; run++) {
    let theta = [right, up];
    for (let i = 0; i <= RACE.steps; i++) {
      const context = contextOf(mdp, policyAt(theta), { gamma, skill, lambda });
      heights[i] += dot(mdp.start, context.V) / RACE.climbs;
      const draws = { count: 1, batch: RACE.batch, seed: 7919 * run + i, steps: Math.min(60, horizon(gamma)) };
      const [direction] = sampleEstimates(psi, context, draws);
      theta = add(theta, scale(direction, RACE.alpha)).map(clamp);
    }
  }
  return heights.map((height, i) => [i, height]);
}

const races = new Map();
function drawRace({ raced, gamma, skill, lambda, right, up }) {
  const chart = picture("race");
  chart.toggleAttribute("hidden", !raced);
  if (!raced) return;
  const key = [gamma, skill, lambda, right, up].join();
  if (!races.has(key)) {
    races.clear();
    races.set(key, PSIS.map((psi) => [psi, climb(psi, { gamma, skill, lambda, right, up })]));
  }
  const found = races.get(key);
  const all = found.flatMap(([, points]) => points.map(([, height]) => height));
  const on = frame(chart, { x: [0, RACE.steps * 1.3], y: [Math.min(...all) - 0.03, Math.max(...all) + 0.03], height: 240, xLabel: "steps", yLabel: "J", xTicks: 5 });
  const ends = found.map(([psi, points]) => ({ psi, points, y: on.toY(points.at(-1)[1]) })).sort((a, b) => a.y - b.y);
  ends.forEach((one, i) => (one.label = Math.max(one.y, i ? ends[i - 1].label + 14 : 0)));
  const over = Math.max(0, (ends.at(-1)?.label ?? 0) - on.bottom);
  for (const { psi, points, label } of ends) {
    line(chart, on, points, `${HUES[psi]} thick`);
    chart.append(svg("text", { x: on.toX(RACE.steps) + 6, y: label - over + 4, class: `label ${HUES[psi]}`, "data-end": points.at(-1)[1] }, psi.replaceAll("_", " ")));
  }
}

// Everything, and the controls.

function drawAll(values) {
  const { up, right, gamma, alpha, power, skill, lambda } = values;
  const theta = [right, up];
  const policy = policyAt(theta);
  const slope = gradient(theta, gamma);
  for (const [name, value] of Object.entries({ up, right, gamma, alpha, lambda })) show(name, value);
  show("batch", 2 ** power, String(2 ** power));
  show("skill", skill, `${format(100 * skill, 0)} %`);
  show("objective", objective(theta, gamma));
  showVector("gradient", slope);
  drawScores(policy);
  drawLand(theta, gamma, slope);
  drawCloud(values, policy, slope);
  setTimeout(() => drawRace(store.values)); // it takes a moment, and nothing waits for it
  say("climb-words", climbWords(theta, gamma));
}

function climbWords(theta, gamma) {
  if (!trail.length) return "";
  const gained = objective(theta, gamma) - objective(trail[0], gamma);
  const steps = trail.length === 1 ? "one step" : `${trail.length} steps`;
  return `After ${steps} J has ${gained >= 0 ? "risen" : "fallen"} by ${format(Math.abs(gained))}.`;
}

function moveBy(direction) {
  const { up, right, alpha } = store.values;
  trail.push([right, up]);
  if (trail.length > 400) trail.shift();
  store.set({ right: clamp(right + alpha * direction[0]), up: clamp(up + alpha * direction[1]) });
}

function here() {
  return [store.values.right, store.values.up];
}

onClick("step", () => moveBy(gradient(here(), store.values.gamma)));
onClick("ten", () => {
  for (let i = 0; i < 10; i++) moveBy(gradient(here(), store.values.gamma));
});
onClick("sampled", () => {
  const { gamma, psi, power, skill, lambda, seed } = store.values;
  const context = contextOf(mdp, policyAt(here()), { gamma, skill, lambda });
  const draws = { count: 1, batch: 2 ** power, seed: Math.floor(1e9 * generator(seed)()), steps: horizon(gamma) };
  store.values.seed = (seed % 1e6) + 1;
  moveBy(sampleEstimates(psi, context, draws)[0]);
});
onClick("race", () => store.set({ raced: 1 }));
onClick("back", () => {
  trail = [];
  store.set({ up: 0, right: 0 });
});

const landscape = picture("landscape");
landscape.addEventListener("pointerdown", (event) => {
  landscape.setPointerCapture(event.pointerId);
  dragTo(event);
});
landscape.addEventListener("pointermove", (event) => event.buttons && dragTo(event));
function dragTo(event) {
  const [right, up] = land.pointAt(event).map((x) => Number(clamp(x).toFixed(2)));
  trail = [];
  store.set({ up, right });
}
for (const slider of document.querySelectorAll('input[name="up"], input[name="right"]')) {
  slider.addEventListener("input", () => (trail = []));
}

store.start(drawAll);
onResize([picture("race")], () => drawRace(store.values));
recall();
