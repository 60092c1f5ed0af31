import { generator, walker } from "./chance.js";
import { frame, level, line } from "./chart.js";
import { Garden, MOVES, stateName, valueColours } from "./garden.js";
import { chainOf, gainAndBias, oneHot, optimal, readMDP, stateValues, stationary } from "./mdp.js";
import { check, data, format, onClick, say, show, Store } from "./page.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const plain = readMDP(data.mdps.plain);
const grassy = readMDP(data.mdps.grass);
const HOME = plain.start.indexOf(1);
const GRASS = grassy.names.indexOf("grass");
const uniform = plain.R.map((row) => row.map(() => 1 / row.length));
const chain = chainOf(plain, uniform);
const gain = gainAndBias(chain, stationary(chain)).gain;
const wander = walker(plain, uniform);

/** V of the wandering snail; infinite where nothing is discounted, by the sign of r̄. */
function wanderingValues(gamma) {
  return gamma < 1 ? stateValues(chain, gamma) : chain.r.map(() => Math.sign(gain) * Infinity);
}

check(({ gamma }) => ({
  values: stateValues(chain, gamma),
  gain,
  best: optimal(plain, gamma).V,
  bestWithGrass: optimal(grassy, gamma).V,
}));

const store = new Store({
  gamma: 0.9, from: 5, seed: 1, walk: "", returns: 1, learned: 0, alpha: 0.1, grass: false,
});
const picture = (name) => document.querySelector(`[data-picture="${name}"]`);
const pick = (from) => store.set({ from });
const gardens = {
  walk: new Garden(picture("walk"), plain, { label: "The garden, with the snail in it" }),
  values: new Garden(picture("values"), plain, { pick, label: "Where the walks start" }),
  learned: new Garden(picture("learned"), plain, { label: "The values learned so far" }),
  best: new Garden(picture("best"), plain, { label: "The best policy and its values" }),
};

// 1. Walk yourself.

function walkYourself({ walk, seed }) {
  const random = generator(seed + 77);
  let [state, total, words] = [HOME, 0, "The snail is at home."];
  for (const move of walk) {
    const only = oneHot(new Array(plain.S).fill(Number(move)), plain.A);
    const { reward, next } = walker(plain, only)(random, state);
    const [meal, wanted] = [plain.names[state], plain.P[state][move].indexOf(Math.max(...plain.P[state][move]))];
    words = reward ? `On the ${meal} anything pays: r = ${format(reward, 0)}, and back home.`
      : `a = ${MOVES[move]}, r = 0. ${next === wanted ? "" : "It slid! "}Now in ${stateName(plain, next)}.`;
    [state, total] = [next, total + reward];
  }
  gardens.walk.draw({ snail: state });
  const [row, column] = plain.cells[state];
  say("walk-state", `(${row + 1}, ${column + 1})`);
  show("walk-steps", walk.length, String(walk.length));
  show("walk-total", total, format(total, 0));
  say("walk-words", words);
}

// 2. One return.

function oneReturn({ gamma, from, seed }) {
  const steps = 100;
  const random = generator(1000 * seed + from);
  let [state, total] = [from, 0];
  const rewards = [];
  for (let t = 0; t < steps; t++) {
    const { reward, next } = wander(random, state);
    rewards.push(reward);
    total += gamma ** t * reward;
    state = next;
  }
  show("gamma", gamma);
  show("horizon", 1 / (1 - gamma));
  show("return", total);
  drawBars(rewards, gamma);
}

function drawBars(rewards, gamma) {
  const chart = picture("bars");
  const on = frame(chart, { x: [-1, rewards.length], y: [-1.1, 1.1], height: 190, xLabel: "steps t from now", xTicks: 5 });
  const width = Math.max(3, (on.right - on.left) / rewards.length - 1);
  const bar = (t, height, kind) => {
    const [a, b] = [on.toY(0), on.toY(height)];
    chart.append(svg("rect", {
      x: on.toX(t) - width / 2, width, y: Math.min(a, b), height: Math.abs(a - b),
      class: `bar ${height < 0 ? "bad" : ""} ${kind}`,
    }));
  };
  rewards.forEach((reward, t) => {
    if (reward) bar(t, reward, "pale");
    if (reward) bar(t, reward * gamma ** t, "");
  });
  const fade = rewards.map((_, t) => [t, gamma ** t]);
  line(chart, on, fade, "gamma dotted");
  line(chart, on, fade.map(([t, y]) => [t, -y]), "gamma dotted");
}

// 3. Many returns and their mean.

/** Returns of walks, each until what is left cannot change the third digit; for ever at γ = 1. */
function sampleReturns(gamma, from, seed, count) {
  const steps = gamma < 1 ? Math.min(1500, Math.ceil(Math.log(1e-4) / Math.log(gamma || 1e-9))) : 300;
  const random = generator(7919 * seed + 31 * from + 5);
  return Array.from({ length: count }, () => {
    let [state, total, weight] = [from, 0, 1];
    for (let t = 0; t < steps; t++) {
      const { reward, next } = wander(random, state);
      total += weight * reward;
      weight *= gamma;
      state = next;
    }
    return total;
  });
}

function manyReturns({ gamma, from, seed, returns }) {
  const V = wanderingValues(gamma);
  const finite = gamma < 1;
  gardens.values.draw({
    fill: finite ? valueColours(V) : V.map(() => ["bad", 1]),
    texts: V.map((v) => format(v, 2)), values: V, chosen: from, snail: undefined,
  });
  const samples = sampleReturns(gamma, from, seed, returns);
  let total = 0;
  const means = samples.map((g, i) => [i + 1, (total += g) / (i + 1)]);
  show("returns", returns, returns === 1 ? "one return" : `${returns} returns`);
  show("mean", total / returns);
  show("value", V[from]);
  say("value-words", finite
    ? "Next to the salad is good, and even good cells pay for the poison that is near."
    : `At γ = 1 the sums have no end: this snail loses ${format(-gain, 4)} a step in the long run, so every state is worth −∞.`);
  const chart = picture("means");
  const reach = Math.max(0.4, 1.3 * Math.max(finite ? Math.abs(V[from]) : 0, ...means.slice(2).map(([, m]) => Math.abs(m))));
  const on = frame(chart, { x: [0, Math.max(10, returns)], y: [-reach, reach], height: 170, xLabel: "returns", yLabel: "mean so far" });
  line(chart, on, [[0, means[0][1]], ...means], "mean");
  if (finite) level(chart, on, V[from], "value", "V");
}

// 4. TD(0): the walk goes on and on, and each step corrects one value.

function learnValues({ gamma, alpha, learned, seed }) {
  const V = new Array(plain.S).fill(0);
  const random = generator(104729 * seed + 3);
  const exact = gamma < 1 ? stateValues(chain, gamma) : null;
  const every = Math.max(1, Math.floor(learned / 200));
  const errors = [];
  let [state, last] = [HOME, null];
  for (let t = 0; t <= learned; t++) {
    if (exact && (t % every === 0 || t === learned)) errors.push([t, rootMeanSquare(V, exact)]);
    if (t === learned) break;
    const { action, reward, next } = wander(random, state);
    const delta = reward + gamma * V[next] - V[state];
    last = { state, action, reward, next, delta, before: V[state], ahead: V[next] };
    V[state] += alpha * delta;
    state = next;
  }
  return { V, state, last, errors };
}

function rootMeanSquare(x, y) {
  return Math.sqrt(x.reduce((total, v, i) => total + (v - y[i]) ** 2, 0) / x.length);
}

function learning(values) {
  const { gamma, alpha, learned } = values;
  const { V, state, last, errors } = learnValues(values);
  const scale = gamma < 1 ? Math.max(...stateValues(chain, gamma).map(Math.abs)) : undefined;
  gardens.learned.draw({ fill: valueColours(V, scale), texts: V.map((v) => format(v, 2)), values: V, snail: state });
  show("alpha", alpha);
  show("learned", learned, String(learned));
  show("error", errors.length ? errors.at(-1)[1] : NaN);
  say("td-words", last
    ? `δ = ${format(last.reward, 0)} + ${format(gamma, 2)} · ${format(last.ahead)} − ${format(last.before)} = ${format(last.delta)}`.replace("− −", "+ ")
    : "Nothing learned yet: every V is 0.");
  const chart = picture("errors");
  const top = 1.15 * Math.max(0.1, ...errors.map(([, e]) => e));
  const on = frame(chart, { x: [0, Math.max(100, learned)], y: [0, top], height: 150, xLabel: "steps", yLabel: "error" });
  line(chart, on, errors, "value");
}

// 5. The best policy for this γ.

function shortSight({ gamma, grass }) {
  const mdp = grass ? grassy : plain;
  const endless = gamma === 1;
  const { choice, V } = endless ? { V: new Array(mdp.S).fill(Infinity) } : optimal(mdp, gamma);
  gardens.best.draw({
    names: mdp.names,
    fill: endless ? V.map(() => ["good", 1]) : valueColours(V),
    texts: V.map((v) => format(v, 2)), values: V,
    pi: endless || gamma === 0 ? null : oneHot(choice, mdp.A).map((row, s) => (isMeal(mdp, s) ? [0, 0, 0, 0] : row)),
  });
  show("best-home", V[HOME]);
  const time = endless || gamma === 0 ? NaN : stationary(chainOf(mdp, oneHot(choice, mdp.A)))[GRASS];
  show("grazing", time, Number.isNaN(time) ? "–" : `${format(100 * time, 0)} %`);
  say("sight-words", sightWords(gamma, grass, time));
}

/** Where every action does the same, so that there is nothing to draw. */
function isMeal(mdp, s) {
  return mdp.names[s] === "salad" || mdp.names[s] === "poison";
}

function sightWords(gamma, grass, time) {
  if (gamma === 1) return "At γ = 1 every policy that comes out ahead is worth ∞: V can no longer tell them apart.";
  if (gamma === 0) return "At γ = 0 only the next reward counts, and no action changes it: nothing to choose.";
  if (!grass) return "Nothing tempts it. It goes round the wall to the salad, and a small γ only makes the far cells pale.";
  return time > 0.5 ? "Short-sighted: it stays in the grass, and the salad is too far away to count."
    : "Far-sighted: the salad is worth the walk, and the grass at most a bite on the way.";
}

// Controls.

onClick("walk", ({ dataset }) => store.set({ walk: (store.values.walk + dataset.move).slice(0, 200) }));
onClick("walk-again", () => store.set({ walk: "" }));
onClick("another", () => store.set({ seed: (store.values.seed % 9999) + 1 }));
onClick("returns", ({ dataset }) => {
  const { returns } = store.values;
  store.set({ returns: Math.min(500, (returns === 1 && dataset.more !== "1" ? 0 : returns) + Number(dataset.more)) });
});
onClick("learn", ({ dataset }) => store.set({ learned: Math.min(20000, store.values.learned + Number(dataset.more)) }));
onClick("forget", () => store.set({ learned: 0 }));
onClick("play", (button) => {
  const playing = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(playing));
  button.textContent = playing ? "Pause" : "Play";
  const tick = () => {
    if (button.getAttribute("aria-pressed") !== "true") return;
    const { learned } = store.values;
    if (learned >= 20000) return button.click();
    store.set({ learned: learned + Math.max(1, Math.floor(learned / 60)) });
    setTimeout(tick, 60);
  };
  tick();
});

function drawAll(values) {
  walkYourself(values);
  oneReturn(values);
  manyReturns(values);
  learning(values);
  shortSight(values);
}
store.start(drawAll);
onResize(["bars", "means", "errors"].map(picture), () => drawAll(store.values));
recall(store);
