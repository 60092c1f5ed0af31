import { choice, number, whole } from "./address.js";
import { generator } from "./chance.js";
import { frame, level, line } from "./chart.js";
import { check, data, format, onClick, picture, say, show, Store } from "./page.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

// One coin: π(heads) = σ(θ).

const heads = (theta) => 1 / (1 + Math.exp(-theta));
const SIDES = ["heads", "tails"];

/** π, ∇log π and ∇π of both sides, the average of ψ and its slope. */
function coin(theta) {
  const p = heads(theta);
  const pi = [p, 1 - p];
  const score = [1 - p, -p];
  const average = (psi) => pi[0] * psi[0] + pi[1] * psi[1];
  return {
    pi, score, slope: pi.map((x, a) => x * score[a]), average: average(data.psi),
    gradient: average(data.psi.map((x, a) => x * score[a])),
  };
}

check(({ theta }) => {
  const { pi, score, average, gradient } = coin(theta);
  return { pi, score, average, gradient };
});

const store = new Store({
  theta: number(-0.5, -3, 3), seed: whole(1, 1, 9999), side: choice("heads", ...SIDES), flips: whole(0, 0, 20000),
});

function drawCoin({ theta, seed }) {
  const u = generator(31 * seed)();
  const p = heads(theta);
  const chart = picture("coin");
  const on = frame(chart, { x: [-3, 3], y: [-0.1, 1.1], height: 220, xLabel: "θ", xTicks: 6 });
  const curve = Array.from({ length: 61 }, (_, i) => [i / 10 - 3, heads(i / 10 - 3)]);
  line(chart, on, curve, "policy");
  const jump = Math.log(u / (1 - u));
  line(chart, on, [[-3, 0], [jump, 0], [jump, 1], [3, 1]], "flip");
  const outcome = u < p ? 1 : 0;
  chart.append(
    svg("path", { d: `M${on.toX(theta)} ${on.top}V${on.bottom}`, class: "line now" }),
    svg("circle", { cx: on.toX(theta), cy: on.toY(p), r: 6, class: "dot policy" }),
    svg("circle", { cx: on.toX(theta), cy: on.toY(outcome), r: 6, class: "dot flip" }),
    svg("text", { x: on.toX(-2.9), y: on.toY(0.16), class: "label" }, "average"),
  );
  show("theta", theta);
  show("pi", p);
  say("flip", SIDES[1 - outcome]);
}

function drawStretch({ theta, side }) {
  const a = SIDES.indexOf(side);
  const { pi, score, slope } = coin(theta);
  const chart = picture("stretch");
  const width = Math.max(240, chart.clientWidth);
  chart.setAttribute("viewBox", `0 0 ${width} 132`);
  chart.setAttribute("height", "132");
  const x0 = Math.max(128, 0.4 * width);
  const unit = width - x0 - 8;
  const bar = (y, length, kind, words) => [
    svg("rect", { x: length >= 0 ? x0 : x0 + unit * length, y, width: Math.max(1, Math.abs(unit * length)), height: 26, rx: 4, class: kind }),
    svg("text", { x: length >= 0 ? x0 - 8 : x0 + 8, y: y + 18, class: `label ${length >= 0 ? "end" : ""}` }, words),
  ];
  chart.replaceChildren(
    ...bar(4, pi[a], "chance", `π = ${format(pi[a])}`),
    svg("text", { x: x0 + (score[a] >= 0 ? -8 : 8), y: 66, class: `label strong ${score[a] >= 0 ? "end" : ""}` }, `× ∇log π = ${format(score[a])}`),
    svg("path", { d: `M${x0 + unit * pi[a]} 34L${x0 + unit * slope[a]} 96M${x0} 34V96`, class: "line dotted muted" }),
    ...bar(100, slope[a], "slope", `∇π = ${format(slope[a])}`),
    svg("path", { d: `M${x0} 0V132`, class: "zero" }),
  );
  chart.dataset.values = [pi[a], score[a], slope[a]].join(" ");
}

/** ψ ∇log π of so many flips, and their mean after each of a hundred stretches. */
function sample({ theta, flips, seed }) {
  const random = generator(104729 * seed + 11);
  const { pi, score } = coin(theta);
  const [means, every] = [[], Math.max(1, Math.floor(flips / 200))];
  let total = 0;
  for (let i = 1; i <= flips; i++) {
    const a = random() < pi[0] ? 0 : 1;
    total += data.psi[a] * score[a];
    if (i % every === 0) means.push([i, total / i]);
  }
  return { means, mean: flips ? total / flips : NaN };
}

const NUDGE = 1e-4;
function drawSamples(values) {
  const { theta, flips } = values;
  const { means, mean } = sample(values);
  const { gradient } = coin(theta);
  show("flips", flips, String(flips));
  show("sampled", mean);
  show("quotient", (coin(theta + NUDGE).average - coin(theta - NUDGE).average) / (2 * NUDGE));
  show("slope", gradient);
  const chart = picture("samples");
  const on = frame(chart, { x: [0, Math.max(1000, flips)], y: [Math.min(-0.2, gradient - 0.5), gradient + 0.5], height: 220, xLabel: "flips", yLabel: "mean" });
  line(chart, on, means, "mean");
  level(chart, on, gradient, "objective", "slope");
}

function drawAll(values) {
  drawCoin(values);
  drawStretch(values);
  drawSamples(values);
}

onClick("again", () => store.set({ seed: (store.values.seed % 9999) + 1 }));
onClick("more", () => store.set({ flips: Math.min(20000, store.values.flips + 1000) }));
onClick("none", () => store.set({ flips: 0 }));
store.start(drawAll);
onResize(["coin", "stretch", "samples"].map(picture), () => drawAll(store.values));
recall();
