import { flag, number, text, whole } from "./address.js";
import { generator, walker } from "./chance.js";
import { frame, level, line } from "./chart.js";
import { Garden, stateName, valueColours } from "./garden.js";
import {
  chainOf, gainAndBias, oneHot, optimal, readMDP, startOf, stateValues, stationary, uniformPolicy,
} from "./mdp.js";
import { check, data, format, onClick, picture, say, show, Store, unfold } from "./page.js";
import { recall } from "./recall.js";
import { onResize, svg } from "./svg.js";

const plain = readMDP(data.world);
const grassy = data.grass && readMDP(data.grass);
const HOME = startOf(plain);
const GRASS = grassy ? grassy.names.indexOf("grass") : -1;
const uniform = uniformPolicy(plain);
const chain = chainOf(plain, uniform);
const ending = plain.outcomes.some((row) => row.some((outs) => outs.some(([, , , ends]) => ends)));
const gain = ending ? 0 : gainAndBias(chain, stationary(chain)).gain;
const wander = walker(plain, uniform);
const largest = Math.max(1e-9, ...plain.R.flat().map(Math.abs));
/** As far as guesses go: what the world is worth at its own γ, and a little more. */
const FARTHEST = Number((1.2 * Math.max(...stateValues(chain, plain.gamma).map(Math.abs))).toPrecision(1)) || 1;

/** V of the wandering walker; infinite where nothing is discounted, by the sign of r̄. */
function wanderingValues(gamma) {
  return gamma < 1 ? stateValues(chain, gamma) : chain.r.map(() => (ending ? NaN : Math.sign(gain) * Infinity));
}

check(({ gamma }) => ({
  values: stateValues(chain, gamma),
  ...(ending ? {} : { gain }),
  best: optimal(plain, gamma).V,
  ...(grassy ? { bestWithGrass: optimal(grassy, gamma).V } : {}),
}));

const guessInput = document.querySelector("[name=guess]");
Object.assign(guessInput, { min: -FARTHEST, max: FARTHEST, step: FARTHEST / 50 });
const store = new Store({
  gamma: number(plain.gamma, 0, 1), from: whole(data.from, 0, plain.S - 1), seed: whole(1, 1, 9999),
  walk: text("", /^[0-7]{0,200}$/), returns: whole(0, 0, 500), guess: number(0, -FARTHEST, FARTHEST),
  learned: whole(0, 0, 20000), alpha: number(0.1, 0.01, 1), grass: flag,
});
const pick = (from) => store.setNow({ from, returns: 0 });
const gardens = {
  walk: new Garden(picture("walk"), plain, { label: "Where you are" }),
  values: new Garden(picture("values"), plain, { pick, label: "Where the walks start" }),
  learned: new Garden(picture("learned"), plain, { label: "The values learned so far" }),
  best: new Garden(picture("best"), plain, { label: "The best policy and its values" }),
};

// 1. Walk yourself.

function walkYourself({ walk, seed }) {
  const random = generator(seed + 77);
  let [state, total, words] = [HOME, 0, "At the start."];
  for (const move of walk) {
    if (!plain.outcomes[state][move]?.length) {
      words = `There is no ${plain.moves[move] ?? "such action"} here.`;
      continue;
    }
    const only = plain.outcomes.map((row, s) => row.map((_, a) => (s === state && a === Number(move) ? 1 : 0)));
    const { reward, next, ends } = walker(plain, only)(random, state);
    const wanted = plain.P[state][move].indexOf(Math.max(...plain.P[state][move]));
    const slid = data.world.garden && !reward && next !== wanted ? "It slid! " : "";
    const earned = `r = ${format(reward, Number.isInteger(reward) ? 0 : 2)}`;
    words = ends ? `a = ${plain.moves[move]}, ${earned}. The episode ends; back to the start.`
      : `a = ${plain.moves[move]}, ${earned}. ${slid}Now in ${stateName(plain, next)}.`;
    [state, total] = [ends ? HOME : next, total + reward];
  }
  gardens.walk.draw({ snail: state });
  const [row, column] = plain.cells[state];
  say("walk-state", plain.names[state]?.startsWith("s") && !data.world.garden ? plain.names[state] : `(${row + 1}, ${column + 1})`);
  show("walk-total", total, format(total, Number.isInteger(total) ? 0 : 2));
  say("walk-words", words);
}

// 2. One return.

function oneReturn({ gamma, from, seed }) {
  const steps = 100;
  const random = generator(1000 * seed + from);
  let [state, total] = [from, 0];
  const rewards = [];
  for (let t = 0; t < steps; t++) {
    const { reward, next, ends } = wander(random, state);
    rewards.push(reward);
    total += gamma ** t * reward;
    if (ends) break;
    state = next;
  }
  show("gamma", gamma);
  show("return", total);
  drawBars(rewards, gamma);
}

function drawBars(rewards, gamma) {
  const chart = picture("bars");
  const on = frame(chart, { x: [-1, Math.max(12, rewards.length)], y: [-1.1 * largest, 1.1 * largest], height: 190, xLabel: "steps t", xTicks: 5 });
  const width = Math.max(3, (on.right - on.left) / Math.max(12, rewards.length) - 1);
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
  const fade = Array.from({ length: Math.max(12, rewards.length) }, (_, t) => [t, largest * gamma ** t]);
  line(chart, on, fade, "gamma dotted");
  line(chart, on, fade.map(([t, y]) => [t, -y]), "gamma dotted");
}

// 3. Many returns and their mean.

/** Returns of walks, each until what is left cannot change the third digit; for ever at γ = 1. */
function sampleReturns(gamma, from, seed, count) {
  const steps = gamma < 1 ? Math.min(1500, Math.ceil(Math.log(1e-4) / Math.log(gamma || 1e-9))) : CUT;
  const random = generator(7919 * seed + 31 * from + 5);
  return Array.from({ length: count }, () => {
    let [state, total, weight] = [from, 0, 1];
    for (let t = 0; t < steps; t++) {
      const { reward, next, ends } = wander(random, state);
      total += weight * reward;
      if (ends) break;
      weight *= gamma;
      state = next;
    }
    return total;
  });
}

const CUT = 300;
function manyReturns({ gamma, from, seed, returns, guess }) {
  const V = wanderingValues(gamma);
  const [finite, seen] = [gamma < 1, returns > 0];
  const level_ = finite ? V[from] : NaN;
  gardens.values.draw({
    fill: !seen ? undefined : finite ? valueColours(V) : V.map((v) => [v > 0 ? "good" : "bad", Number.isNaN(v) ? 0 : 1]),
    texts: V.map((v) => (seen ? format(v, 2) : "?")), values: V, chosen: from,
  });
  const samples = sampleReturns(gamma, from, seed, returns);
  let total = 0;
  const means = samples.map((g, i) => [i + 1, (total += g) / (i + 1)]);
  show("guess", guess);
  show("returns", returns, returns === 1 ? "one return" : `${returns} returns`);
  show("mean", seen ? total / returns : NaN);
  show("value", V[from], seen ? undefined : "?");
  say("value-words", valueWords(gamma, seen, guess, V[from]));
  const chart = picture("means");
  const reach = Math.max(0.4, 1.3 * Math.max(finite ? Math.abs(V[from]) : 0, Math.abs(guess), ...means.slice(2).map(([, m]) => Math.abs(m))));
  const on = frame(chart, { x: [0, Math.max(10, returns)], y: [-reach, reach], height: 170, xLabel: "walks", yLabel: "mean" });
  if (seen) line(chart, on, [[0, means[0][1]], ...means], "mean");
  level(chart, on, guess, "gamma", "guess");
  if (seen && finite) level(chart, on, level_, "value", "V");
}

function valueWords(gamma, seen, guess, V) {
  if (!seen) return "";
  if (gamma < 1) return `Your guess was ${format(Math.abs(guess - V), 2)} ${guess > V ? "too high" : "too low"}.`;
  if (ending) return "At γ = 1 an episode still ends; here V is left out.";
  return `At γ = 1 nothing fades and the sum has no end: ${format(gain, 4)} a step for ever makes V ${gain < 0 ? "−∞" : "∞"}. The mean is finite only because each walk was stopped after ${CUT} steps.`;
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
    const { reward, next, ends } = wander(random, state);
    const ahead = ends ? 0 : V[next];
    const delta = reward + gamma * ahead - V[state];
    last = { reward, delta, before: V[state], ahead };
    V[state] += alpha * delta;
    state = ends ? HOME : next;
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
    ? `δ = ${format(last.reward, Number.isInteger(last.reward) ? 0 : 2)} + ${format(gamma, 2)} · ${format(last.ahead)} − ${format(last.before)} = ${format(last.delta)}`.replace("− −", "+ ")
    : "Nothing learned yet: every V is 0.");
  const chart = picture("errors");
  const top = 1.15 * Math.max(0.1, ...errors.map(([, e]) => e));
  const on = frame(chart, { x: [0, Math.max(100, learned)], y: [0, top], height: 150, xLabel: "steps", yLabel: "error" });
  line(chart, on, errors, "value");
}

// 5. The best policy for this γ.

function shortSight({ gamma, grass }) {
  const mdp = grass && grassy ? grassy : plain;
  const endless = gamma === 1;
  const { choice: best, V } = endless ? { V: new Array(mdp.S).fill(NaN) } : optimal(mdp, gamma);
  gardens.best.draw({
    names: mdp.names,
    fill: endless ? undefined : valueColours(V),
    texts: V.map((v) => format(v, 2)), values: V,
    pi: endless || gamma === 0 ? null : oneHot(best, mdp.A).map((row, s) => (noChoice(mdp, s) ? row.map(() => 0) : row)),
  });
  show("best-home", V[HOME]);
  const time = endless || gamma === 0 || !grassy ? NaN : stationary(chainOf(mdp, oneHot(best, mdp.A)), mdp.start)[GRASS];
  show("grazing", time, Number.isNaN(time) ? "–" : `${format(100 * time, 0)} %`);
  say("sight-words", sightWords(gamma, grass, time));
}

/** Where every action does the same, so that there is nothing to draw. */
function noChoice(mdp, s) {
  const same = String(mdp.outcomes[s][0]);
  return mdp.outcomes[s].every((outcomes) => String(outcomes) === same);
}

function sightWords(gamma, grass, time) {
  if (gamma === 1) return "At γ = 1 sums without an end cannot be compared: V tells policies apart only below 1.";
  if (gamma === 0) return "At γ = 0 only the next reward counts.";
  if (!grassy) return "";
  if (!grass) return "Nothing tempts it. It goes round the wall to the salad, and a small γ only makes the far cells pale.";
  return time > 0.5 ? "Short-sighted: it stays in the grass, and the salad is too far away to count."
    : "Far-sighted: the salad is worth the walk, and the grass at most a bite on the way.";
}

// Controls.

onClick("walk", ({ dataset }) => store.set({ walk: (store.values.walk + dataset.move).slice(0, 200) }));
onClick("walk-again", () => store.set({ walk: "" }));
onClick("another", () => store.set({ seed: (store.values.seed % 9999) + 1 }));
onClick("returns", ({ dataset }) => {
  store.set({ returns: Math.min(500, store.values.returns + Number(dataset.more)) });
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
if (store.values.learned) unfold(picture("learned"));
if (store.values.grass) unfold(picture("best"));
store.start(drawAll);
onResize(["bars", "means", "errors"].map(picture), () => drawAll(store.values));
recall();
