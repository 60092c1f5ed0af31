import { add, dot, leftTimes, scale, sum } from "./linear.js";
import {
  actionValues, biasGradients, chainOf, gainAndBias, stateValues, stationary, stationaryGradients,
  valueGradients, visitation, visitGradients, weighted,
} from "./mdp.js";

// Every function of θ that the derivation contains, with its gradient, and the lines made of them.

export function calculus(mdp, policy, gamma) {
  const { pi, dpi, score } = policy;
  const chain = chainOf(mdp, pi);
  const V = stateValues(chain, gamma);
  const Q = actionValues(mdp, V, gamma);
  const eta = visitation(chain, gamma, mdp.start);
  const d = stationary(chain, mdp.start);
  const { gain, bias } = gainAndBias(chain, d);
  const dV = valueGradients(mdp, chain, Q, gamma, dpi);
  const dd = stationaryGradients(mdp, chain, d, dpi);
  const later = Q.map((row, s) => row.map((q, a) => q - mdp.R[s][a]));
  const continued = mdp.R.map((row, s) => row.map((r, a) => r + dot(mdp.P[s][a], bias)));
  return {
    mdp, policy, gamma, chain, V, Q, eta, d, gain, bias, dV, dd, later, continued,
    deta: visitGradients(mdp, chain, eta, gamma, dpi),
    dbias: biasGradients(mdp, chain, d, bias, dd, dpi),
    /** Σ_s w Σ_a psi ∇π */
    allAction: (w, psi) => weighted(w, psi, dpi),
    /** Σ_s w Σ_a π psi ∇log π */
    scored: (w, psi) => weighted(w, psi.map((row, s) => row.map((x, a) => pi[s][a] * x)), score),
    /** Σ_s w ∇f for the gradients of a function of states */
    pull: (w, df) => df.map((g) => dot(w, g)),
  };
}

const minus = (x, y) => add(x, scale(y, -1));
const perState = (of, table) => table.map((row, s) => row.map(() => of[s]));
const lessState = (table, of) => table.map((row, s) => row.map((x) => x - of[s]));

/** What the three readings call the truth, and D1 … D7 as lists of terms. */
export const READINGS = { start, stationary: stationaryReading, average };

function start(c) {
  const { mdp, gamma, eta, V, Q, later } = c;
  const rho = mdp.start;
  const normaliser = sum(eta);
  const truth = c.pull(rho, c.dV);
  const followed = minus(eta, rho);
  const dQ = pulledQ(c, rho);
  return {
    truth, name: "∇J", normaliser: ["Σ η", normaliser],
    lines: [
      [[0, 0], truth],
      [truth],
      [c.allAction(rho, Q), dQ],
      [c.allAction(rho, Q), c.allAction(followed, Q)],
      [c.scored(eta, mdp.R), c.scored(eta, later)],
      [c.scored(eta, lessState(Q, V)), c.scored(eta, perState(V, Q))].map((x) => scale(x, 1 / normaliser)),
      [c.scored(rho, Q), c.scored(unrolled(c, rho, gamma), Q)],
    ],
  };
}

function stationaryReading(c) {
  const { mdp, gamma, d, V, Q, later } = c;
  const frozen = c.allAction(d, Q);
  return {
    truth: c.pull(c.chain.r, c.dd).map((x, k) => x + c.allAction(d, mdp.R)[k]), name: "∇r̄", normaliser: ["1/(1−γ)", 1 / (1 - gamma)],
    lines: [
      [c.dd.map((g) => dot(g, V)), c.pull(d, c.dV)],
      [c.pull(d, c.dV)],
      [frozen, pulledQ(c, d)],
      [c.allAction(d, mdp.R), c.allAction(d, later)],
      [c.scored(d, mdp.R), c.scored(d, later)],
      [c.scored(d, lessState(Q, V)), c.scored(d, perState(V, Q))],
      [c.scored(d, Q), c.scored(unrolled(c, d, gamma), Q)],
    ],
  };
}

function average(c) {
  const { mdp, d, gain, bias, continued, dbias } = c;
  const ahead = minusTable(continued, mdp.R);
  const tilde = continued.map((row) => row.map((x) => x - gain));
  const constant = c.chain.r.map((r, s) => r + dot(c.chain.P[s], bias) - bias[s]);
  const written = c.allAction(d, continued);
  const level = dbias.map((g) => dot(leftTimes(d, c.chain.P), g) - dot(d, g));
  const truth = add(written, level);
  return {
    truth, name: "∇r̄", normaliser: ["one step", 1],
    lines: [
      [c.dd.map((g) => dot(g, constant)), truth],
      [truth],
      [written, level],
      [c.allAction(d, mdp.R), c.allAction(d, ahead)],
      [c.scored(d, mdp.R), c.scored(d, ahead)],
      [c.scored(d, lessState(tilde, bias)), c.scored(d, perState(bias, tilde))],
      [c.scored(d, tilde)],
    ],
  };
}

function minusTable(x, y) {
  return x.map((row, s) => row.map((value, a) => value - y[s][a]));
}

/** Σ_s w Σ_a π ∇Q = γ Σ_s (w P) ∇V. */
function pulledQ(c, w) {
  return scale(c.pull(leftTimes(w, c.chain.P), c.dV), c.gamma);
}

/** Σ_{t≥1} γ^t w P^t: where the walk is after its first step, discounted. */
function unrolled(c, w, gamma) {
  return visitation(c.chain, gamma, scale(leftTimes(w, c.chain.P), gamma));
}

/** I1 … I5 under a reading, each as a left and a right side. */
export function identities(c, reading) {
  const { gamma, d, V } = c;
  const [visits, moved] = reading === "start" ? normalised(c.eta, c.deta) : [d, c.dd];
  const kept = c.allAction(d, c.Q);
  const dropped = c.dd.map((g) => (1 - gamma) * dot(g, V));
  const gainSlope = add(c.allAction(d, c.mdp.R), c.pull(c.chain.r, c.dd));
  return {
    visits, moved, kept, dropped, gainSlope,
    I1: [moved.map(sum), [0, 0]],
    I2: [c.pull(c.chain.r, c.deta), c.allAction(c.eta, c.later)],
    I3: [scale(c.pull(d, c.dV), 1 - gamma), kept],
    I4: [gainSlope, add(kept, dropped)],
    I5: V.map((v) => (1 - gamma) * v),
  };
}

/** x / Σx and its gradients. */
function normalised(x, dx) {
  const total = sum(x);
  const share = scale(x, 1 / total);
  return [share, dx.map((g) => { const moved = sum(g); return g.map((v, s) => (v - moved * share[s]) / total); })];
}
