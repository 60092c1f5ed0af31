import { generator, walker } from "./chance.js";
import { add, dot, identityMinus, scale, solve, solveAll, sum, transpose } from "./linear.js";
import { actionValues, chainOf, stateValues } from "./mdp.js";

// The choices of ψ: how one is computed along a walk, and its mean and covariance in closed form.
// An estimate is X_0 with X_t = ψ_t g_t + w X_{t+1}, g = ∇log π, w = γ or 1. For every ψ but the
// total return ψ_t = δ_t + c ψ_{t+1}, where δ depends on one step alone.

/** name -> (context) => { delta(s, a, reward, next, ends), decay } */
export const PSI = {
  reward_to_go: ({ gamma }) => ({ delta: (s, a, r) => r, decay: gamma }),
  baselined_return: ({ gamma, critic }) => ({ delta: residual(gamma, critic), decay: gamma }),
  q_value: ({ Q }) => ({ delta: (s, a) => Q[s][a], decay: 0 }),
  advantage: ({ Q, V }) => ({ delta: (s, a) => Q[s][a] - V[s], decay: 0 }),
  td_residual: ({ gamma, critic }) => ({ delta: residual(gamma, critic), decay: 0 }),
  gae: ({ gamma, critic, lambda }) => ({ delta: residual(gamma, critic), decay: gamma * lambda }),
};

function residual(gamma, critic) {
  return (s, a, r, next, ends) => r + (ends ? 0 : gamma * critic[next]) - critic[s];
}

/** What the ψ need to know: V, Q, and a critic that is `skill` times V. */
export function contextOf(mdp, policy, { gamma, skill = 1, lambda = 0.95 }) {
  const chain = chainOf(mdp, policy.pi);
  const V = stateValues(chain, gamma);
  return { mdp, policy, chain, gamma, lambda, V, Q: actionValues(mdp, V, gamma), critic: scale(V, skill) };
}

/** Mean and covariance of one walk's estimate; `weight` is w. */
export function moments(name, context, weight = context.gamma) {
  const { mdp, policy, chain } = context;
  const { delta, decay } = PSI[name](context);
  const n = policy.score.length;
  const w = weight;
  const fixed = (factor, b) => solve(identityMinus(chain.P, factor), b);
  const pairs = (of) => mdp.R.map((row, s) => row.map((_, a) => of(s, a)));
  const expected = (s, a, of) => sum(mdp.outcomes[s][a].map(([p, next, r, ends]) => p * of(delta(s, a, r, next, ends), next, ends ? 0 : 1)));
  const average = (table) => table.map((row, s) => dot(policy.pi[s], row));

  const rewards = average(pairs((s, a) => expected(s, a, (d) => d)));
  const psi = fixed(decay, rewards);
  const psiOf = pairs((s, a) => expected(s, a, (d, next, on) => d + decay * on * psi[next]));
  const squaredAhead = pairs((s, a) => expected(s, a, (d, next, on) => d * d + 2 * decay * on * d * psi[next]));
  const squared = fixed(decay ** 2, average(squaredAhead));
  const squaredOf = pairs((s, a) => expected(s, a, (d, next, on) => d * d + 2 * decay * on * d * psi[next] + decay ** 2 * on * squared[next]));

  const weigh = (table, k) => table.map((row, s) => sum(row.map((x, a) => policy.pi[s][a] * x * policy.score[k][s][a])));
  const axes = Array.from({ length: n }, (_, k) => k);
  const X = solveAll(identityMinus(chain.P, w), axes.map((k) => weigh(psiOf, k)));
  const early = axes.map((k) => pairs((s, a) => expected(s, a, (d, next, on) => on * d * X[k][next])));
  const psiX = solveAll(
    identityMinus(chain.P, decay * w),
    axes.map((k) => add(weigh(squaredOf, k), scale(average(early[k]), w))),
  );
  const ahead = axes.map((k) => pairs((s, a) => early[k][s][a] + decay * dot(mdp.P[s][a], psiX[k])));

  const visits = solve(identityMinus(transpose(chain.P), w * w), mdp.start);
  const mean = X.map((x) => dot(mdp.start, x));
  const covariance = axes.map((i) => axes.map((j) => secondMoment(policy, visits, squaredOf, ahead, w, i, j) - mean[i] * mean[j]));
  return { mean, covariance };
}

function secondMoment({ pi, score }, visits, squaredOf, ahead, w, i, j) {
  return sum(visits.map((y, s) => y * sum(pi[s].map((p, a) => {
    const [gi, gj] = [score[i][s][a], score[j][s][a]];
    return p * (squaredOf[s][a] * gi * gj + w * (gi * ahead[j][s][a] + gj * ahead[i][s][a]));
  }))));
}

/** Walks of one policy: estimates of ∇J, each the mean over `batch` walks of `steps` steps. */
export function sampleEstimates(name, context, { count, batch, seed, steps }) {
  const { mdp, policy, gamma } = context;
  const walk = walker(mdp, policy.pi);
  const random = generator(seed);
  const start = mdp.start.indexOf(1);
  const n = policy.score.length;
  const path = new Array(steps);
  return Array.from({ length: count }, () => {
    const total = new Array(n).fill(0);
    for (let b = 0; b < batch; b++) {
      let state = start;
      for (let t = 0; t < steps; t++) {
        const taken = walk(random, state);
        path[t] = { state, ...taken };
        state = taken.next;
      }
      addEstimate(total, name, context, path, gamma);
    }
    return scale(total, 1 / batch);
  });
}

/** Σ_t γ^t ψ_t g_t of one walk, from its end; the total return stands for γ^t ψ_t as it is. */
function addEstimate(total, name, context, path, gamma) {
  const { score } = context.policy;
  if (name === "total_return") {
    const all = path.reduce((sumSoFar, { reward }, t) => sumSoFar + gamma ** t * reward, 0);
    for (const { state, action } of path) {
      for (let k = 0; k < total.length; k++) total[k] += all * score[k][state][action];
    }
    return;
  }
  const { delta, decay } = PSI[name](context);
  let psi = 0;
  const X = total.map(() => 0);
  for (let t = path.length - 1; t >= 0; t--) {
    const { state, action, reward, next, ends } = path[t];
    psi = delta(state, action, reward, next, ends) + decay * psi;
    for (let k = 0; k < X.length; k++) X[k] = psi * score[k][state][action] + gamma * X[k];
  }
  for (let k = 0; k < total.length; k++) total[k] += X[k];
}
