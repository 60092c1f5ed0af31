import { dot } from "./linear.js";
import { chainOf, readMDP, softmaxPolicy, stateValues, stationary } from "./mdp.js";
import { check, data, Store } from "./page.js";

const mdp = readMDP(data.mdps.plain);

check(({ gamma, theta }) => {
  const chain = chainOf(mdp, softmaxPolicy(mdp, theta).pi);
  const values = stateValues(chain, gamma);
  return { values, weighted: dot(stationary(chain), values) };
});
new Store({}).start(() => {});
