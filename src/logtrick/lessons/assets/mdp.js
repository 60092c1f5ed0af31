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

/**
 * d_π = d_π P_π. The last equation is replaced by Σ d = 1. Where a policy never leaves one of several
 * parts there is no single answer; then it is where the time goes that begins in `first`.
 */
export function stationary(chain, first) {
  const A = identityMinus(transpose(chain.P), 1);
  const n = A.length;
  A[n - 1] = new Array(n).fill(1);
  const d = solve(A, [...new Array(n - 1).fill(0), 1]);
  const sound = d.every((x) => x > -1e-9) && leftTimes(d, chain.P).every((x, s) => Math.abs(x - d[s]) < 1e-9);
  return sound || !first ? d : timeFrom(chain, first);
}

/** Of the lazy chain, whose powers settle: 2⁴⁰ steps by squaring. */
function timeFrom(chain, first) {
  let lazy = chain.P.map((row, i) => row.map((p, j) => (p + (i === j ? 1 : 0)) / 2));
  for (let power = 0; power < 40; power++) lazy = lazy.map((row) => leftTimes(row, lazy));
  const d = leftTimes(first, lazy);
  return scale(d, 1 / sum(d));
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

/** Every action that a state has, equally often. */
export function uniformPolicy(mdp) {
  return mdp.outcomes.map((row) => {
    const count = row.filter((outcomes) => outcomes.length).length;
    return row.map((outcomes) => (outcomes.length ? 1 / count : 0));
  });
}

/** The most probable start. */
export const startOf = (mdp) => mdp.start.indexOf(Math.max(...mdp.start));

/** softmax of the logits. */
export function softmax(logits) {
  const top = Math.max(...logits);
  const weights = logits.map((x) => Math.exp(x - top));
  const total = sum(weights);
  return weights.map((w) => w / total);
}

/** π, ∇π and ∇log π by the parameters: the softmax of f(s, a) · θ over the actions of s. */
export function softmaxPolicy(mdp, theta) {
  const states = mdp.outcomes.map((row, s) => {
    const has = row.map((outcomes) => outcomes.length > 0);
    const pi = softmax(mdp.features[s].map((f, a) => (has[a] ? dot(f, theta) : -Infinity)));
    const score = theta.map((_, k) => {
      const column = mdp.features[s].map((f) => f[k]);
      const mean = dot(pi, column);
      return column.map((x, a) => (has[a] ? x - mean : 0));
    });
    return { pi, score };
  });
  const pi = states.map((one) => one.pi);
  const score = theta.map((_, k) => states.map((one) => one.score[k]));
  const dpi = score.map((table) => table.map((row, s) => row.map((g, a) => pi[s][a] * g)));
  return { pi, score, dpi, key: theta.join() };
}

/** π_* and V_* by policy iteration from the best immediate rewards; ties go to the first action. */
export function optimal(mdp, gamma) {
  let choice = mdp.outcomes.map((row) => row.findIndex((outcomes) => outcomes.length));
  for (let sweep = 0; sweep < 100; sweep++) {
    const V = stateValues(chainOf(mdp, oneHot(choice, mdp.A)), gamma);
    const Q = actionValues(mdp, V, gamma);
    const better = Q.map((row, s) => {
      const top = Math.max(...row.filter((_, a) => mdp.outcomes[s][a].length));
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
