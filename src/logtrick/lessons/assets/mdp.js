import { add, dot, identityMinus, leftTimes, scale, solve, solveAll, sum, times, transpose } from "./linear.js";

// A finite MDP and what is exact about a policy on it. Equation ids are those of the library.

/** The MDP of a page's data: outcomes[s][a] = [[p, s', r, ends], ...]. */
export function readMDP(data) {
  const mdp = { ...data, S: data.outcomes.length, A: data.outcomes[0].length };
  mdp.R = data.outcomes.map((row) => row.map((outs) => sum(outs.map(([p, , r]) => p * r))));
  mdp.P = data.outcomes.map((row) =>
    row.map((outs) => {
      const to = new Array(mdp.S).fill(0);
      for (const [p, next, , ends] of outs) if (!ends) to[next] += p;
      return to;
    }),
  );
  return mdp;
}

/** P_π and r_π of a table pi[s][a]. */
export function chainOf(mdp, pi) {
  const P = pi.map((row, s) => leftTimes(row, mdp.P[s]));
  return { P, r: pi.map((row, s) => dot(row, mdp.R[s])) };
}

/** V_π = (I − γP_π)⁻¹ r_π (V2). */
export function stateValues(chain, gamma) {
  return solve(identityMinus(chain.P, gamma), chain.r);
}

/** Q(s, a) = R(s, a) + γ Σ P(s'|s, a) V(s') (V3). */
export function actionValues(mdp, V, gamma) {
  return mdp.R.map((row, s) => row.map((r, a) => r + gamma * dot(mdp.P[s][a], V)));
}

/** η_γ = (I − γP_πᵀ)⁻¹ first. */
export function visitation(chain, gamma, first) {
  return solve(identityMinus(transpose(chain.P), gamma), first);
}

/** I − P + 1 dᵀ, whose inverse is what the average-reward setting needs. */
function fundamental(chain, d) {
  return identityMinus(chain.P, 1).map((row) => add(row, d));
}

/** d_π = d_π P_π. The last equation is replaced by Σ d = 1. */
export function stationary(chain) {
  const A = identityMinus(transpose(chain.P), 1);
  const n = A.length;
  A[n - 1] = new Array(n).fill(1);
  return solve(A, [...new Array(n - 1).fill(0), 1]);
}

/** The gain r̄ and the bias h, d·h = 0 (V7). */
export function gainAndBias(chain, d) {
  const gain = dot(d, chain.r);
  return { gain, bias: solve(fundamental(chain, d), chain.r.map((r) => r - gain)) };
}

/** Σ_s w(s) Σ_a psi(s, a) table(s, a) for each table, usually ∇π or π ∇log π. */
export function weighted(weights, psi, tables) {
  return tables.map((table) => sum(table.map((row, s) => weights[s] * dot(row, psi[s]))));
}

/** ∇V = (I − γP)⁻¹ Σ_a Q ∇π, one vector over states for each parameter. */
export function valueGradients(mdp, chain, Q, gamma, dpi) {
  const b = dpi.map((table) => table.map((row, s) => dot(row, Q[s])));
  return solveAll(identityMinus(chain.P, gamma), b);
}

/** ∇P_π, one matrix for each parameter. */
function movedChains(mdp, dpi) {
  return dpi.map((table) => table.map((row, s) => leftTimes(row, mdp.P[s])));
}

/** ∇η_γ = γ (I − γPᵀ)⁻¹ (∇Pᵀ η). */
export function visitGradients(mdp, chain, visits, gamma, dpi) {
  const b = movedChains(mdp, dpi).map((moved) => scale(leftTimes(visits, moved), gamma));
  return solveAll(identityMinus(transpose(chain.P), gamma), b);
}

/** ∇d = d ∇P (I − P + 1dᵀ)⁻¹. */
export function stationaryGradients(mdp, chain, d, dpi) {
  const b = movedChains(mdp, dpi).map((moved) => leftTimes(d, moved));
  return solveAll(transpose(fundamental(chain, d)), b);
}

/** ∇h, from (I − P + 1dᵀ) h = r − r̄. */
export function biasGradients(mdp, chain, d, bias, dd, dpi) {
  const moved = movedChains(mdp, dpi);
  const b = dpi.map((table, k) => {
    const dr = table.map((row, s) => dot(row, mdp.R[s]));
    const dgain = dot(d, dr) + dot(dd[k], chain.r);
    const dP = times(moved[k], bias);
    const level = dot(dd[k], bias);
    return dr.map((x, s) => x - dgain + dP[s] - level);
  });
  return solveAll(fundamental(chain, d), b);
}

/** softmax of the logits. */
export function softmax(logits) {
  const top = Math.max(...logits);
  const weights = logits.map((x) => Math.exp(x - top));
  const total = sum(weights);
  return weights.map((w) => w / total);
}

/** ∇π and ∇log π by the parameters, where every state has the logits features · θ. */
export function sharedSoftmax(features, theta, S) {
  const probabilities = softmax(features.map((row) => dot(row, theta)));
  const repeat = (row) => Array.from({ length: S }, () => row);
  const score = theta.map((_, k) => {
    const column = features.map((row) => row[k]);
    const mean = dot(probabilities, column);
    return column.map((x) => x - mean);
  });
  const dpi = score.map((row) => row.map((g, a) => probabilities[a] * g));
  return { probabilities, pi: repeat(probabilities), score: score.map(repeat), dpi: dpi.map(repeat) };
}

/** π_* and V_* by policy iteration from the best immediate rewards; ties go to the first action. */
export function optimal(mdp, gamma) {
  let choice = new Array(mdp.S).fill(0);
  for (let sweep = 0; sweep < 100; sweep++) {
    const V = stateValues(chainOf(mdp, oneHot(choice, mdp.A)), gamma);
    const Q = actionValues(mdp, V, gamma);
    const better = Q.map((row, s) => {
      const top = Math.max(...row);
      return top > row[choice[s]] + 1e-12 ? row.indexOf(top) : choice[s];
    });
    if (better.every((a, s) => a === choice[s])) return { choice, V, Q };
    choice = better;
  }
  throw new Error("policy iteration did not settle");
}

/** A deterministic policy as a table. */
export function oneHot(choice, A) {
  return choice.map((a) => Array.from({ length: A }, (_, b) => (a === b ? 1 : 0)));
}
