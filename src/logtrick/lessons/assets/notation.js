import { number } from "./address.js";
import { dot } from "./linear.js";
import { actionValues, chainOf, readMDP, softmaxPolicy, stateValues, stationary, visitation } from "./mdp.js";
import { check, data, show, Store } from "./page.js";

const mdp = readMDP(data.mdps.plain);
const HOME = mdp.start.indexOf(1);
const { pi, score } = softmaxPolicy(mdp, [0, 0]);
const chain = chainOf(mdp, pi);
const time = stationary(chain);

/** The number of each symbol for the wandering snail. */
function numbersAt(gamma) {
  const V = stateValues(chain, gamma);
  const q = actionValues(mdp, V, gamma)[HOME][0];
  return {
    policy: pi[HOME][0], value: V[HOME], q, advantage: q - V[HOME], visits: visitation(chain, gamma, mdp.start)[HOME],
    time: time[HOME], objective: dot(mdp.start, V), gain: dot(time, chain.r), score: score[1][HOME][0],
  };
}

check(({ gamma }) => numbersAt(gamma));

new Store({ gamma: number(0.9, 0, 0.99) }).start(({ gamma }) => {
  show("gamma", gamma);
  for (const [name, value] of Object.entries(numbersAt(gamma))) show(name, value);
});
