import { dot } from "./linear.js";
import { actionValues, chainOf, readMDP, sharedSoftmax, stateValues, stationary, visitation } from "./mdp.js";
import { check, data, show, Store } from "./page.js";

const mdp = readMDP(data.mdps.plain);
const HOME = mdp.start.indexOf(1);
const { pi, score } = sharedSoftmax(data.features, [0, 0], mdp.S);
const chain = chainOf(mdp, pi);
const time = stationary(chain);

/** The number of each symbol for the wandering snail. */
function numbers(gamma) {
  const V = stateValues(chain, gamma);
  const q = actionValues(mdp, V, gamma)[HOME][0];
  return {
    policy: pi[HOME][0], value: V[HOME], q, advantage: q - V[HOME], visits: visitation(chain, gamma, mdp.start)[HOME],
    time: time[HOME], objective: dot(mdp.start, V), gain: dot(time, chain.r), score: score[0][HOME][0],
  };
}

check(({ gamma }) => numbers(gamma));

new Store({ gamma: 0.9 }).start(({ gamma }) => {
  show("gamma", gamma);
  for (const [name, value] of Object.entries(numbers(gamma))) show(name, value);
});
