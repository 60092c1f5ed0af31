// Dense linear algebra, as little as exact values need: matrices are arrays of rows.

/** Solve A X = B by elimination with partial pivoting; B is a list of right-hand sides. */
export function solveAll(A, B) {
  const n = A.length;
  const rows = A.map((row, i) => [...row, ...B.map((b) => b[i])]);
  for (let column = 0; column < n; column++) {
    let best = column;
    for (let i = column + 1; i < n; i++) {
      if (Math.abs(rows[i][column]) > Math.abs(rows[best][column])) best = i;
    }
    [rows[column], rows[best]] = [rows[best], rows[column]];
    const pivot = rows[column];
    for (let i = column + 1; i < n; i++) {
      const factor = rows[i][column] / pivot[column];
      if (factor === 0) continue;
      for (let j = column; j < pivot.length; j++) rows[i][j] -= factor * pivot[j];
    }
  }
  return B.map((_, k) => {
    const x = new Array(n);
    for (let i = n - 1; i >= 0; i--) {
      let rest = rows[i][n + k];
      for (let j = i + 1; j < n; j++) rest -= rows[i][j] * x[j];
      x[i] = rest / rows[i][i];
    }
    return x;
  });
}

/** Solve A x = b. */
export function solve(A, b) {
  return solveAll(A, [b])[0];
}

export function dot(x, y) {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i] * y[i];
  return total;
}

/** Matrix times vector. */
export function times(A, x) {
  return A.map((row) => dot(row, x));
}

/** Row vector times matrix. */
export function leftTimes(x, A) {
  const result = new Array(A[0].length).fill(0);
  A.forEach((row, i) => row.forEach((a, j) => (result[j] += x[i] * a)));
  return result;
}

export function transpose(A) {
  return A[0].map((_, j) => A.map((row) => row[j]));
}

/** I − factor · A. */
export function identityMinus(A, factor) {
  return A.map((row, i) => row.map((a, j) => (i === j ? 1 : 0) - factor * a));
}

export function sum(x) {
  return x.reduce((total, value) => total + value, 0);
}

export function add(x, y) {
  return x.map((value, i) => value + y[i]);
}

export function scale(x, factor) {
  return x.map((value) => factor * value);
}

export function norm(x) {
  return Math.hypot(...x);
}

/** A vector shorter than this is what rounding leaves of 0. */
const NO_LENGTH = 1e-12;

/** Whether a vector points anywhere. */
export const points = (x) => norm(x) > NO_LENGTH;

/** Degrees between two vectors; NaN where one of them is 0. */
export function angleBetween(x, y) {
  const [a, b] = [norm(x), norm(y)];
  if (!points(x) || !points(y)) return NaN;
  const [u, v] = [scale(x, 1 / a), scale(y, 1 / b)];
  return (360 / Math.PI) * Math.atan2(norm(add(u, scale(v, -1))), norm(add(u, v)));
}
