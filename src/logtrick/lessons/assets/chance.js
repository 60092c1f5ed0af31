import { sum } from "./linear.js";

// Seeded random numbers, so that a shared page draws the same samples again.

/** A generator of uniform numbers in [0, 1): a counter, and a hash of it with good mixing. */
export function generator(seed) {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 4294967296;
  };
}

/** `step(random, s)` samples a step of π: { action, reward, next, ends }. Tables are made once. */
export function walker(mdp, pi) {
  const tables = mdp.outcomes.map((row, s) => {
    const steps = row.flatMap((outcomes, action) =>
      outcomes.map(([p, next, reward, ends]) => ({ p: p * pi[s][action], action, reward, next, ends })),
    );
    const possible = steps.filter(({ p }) => p > 0);
    const total = sum(possible.map(({ p }) => p));
    let upTo = 0;
    return possible.map((one) => ({ ...one, upTo: (upTo += one.p / total) }));
  });
  return (random, s) => {
    const u = random();
    const table = tables[s];
    let i = 0;
    while (i < table.length - 1 && u >= table[i].upTo) i++;
    return table[i];
  };
}

/** An index with these probabilities. */
export function draw(random, probabilities) {
  const u = random();
  let upTo = 0;
  for (let i = 0; i < probabilities.length - 1; i++) {
    upTo += probabilities[i];
    if (u < upTo) return i;
  }
  return probabilities.length - 1;
}
