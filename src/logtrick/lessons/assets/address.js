// What stands in the address of a page may be anything. One reader, and for each name of the state
// a kind that says what is possible: what is too large or too small becomes the nearest possible
// value, what is none becomes the default.

/** A number between two. */
export function number(fallback, low, high) {
  return { fallback, read: (text) => {
    const x = text.trim() === "" ? NaN : Number(text);
    return Number.isNaN(x) ? fallback : Math.min(high, Math.max(low, x));
  } };
}

/** A whole number between two. */
export function whole(fallback, low, high) {
  const { read } = number(fallback, low, high);
  return { fallback, read: (text) => Math.round(read(text)) };
}

/** One of several words. */
export function choice(fallback, ...options) {
  return { fallback, read: (text) => (options.includes(text) ? text : fallback) };
}

export const flag = { fallback: false, read: (text) => text === "true" };

/** As many numbers as the default has, each between two. */
export function numbers(fallback, low, high) {
  return { fallback, read: (text) => {
    const parts = text.split(",");
    if (parts.length !== fallback.length) return fallback;
    return parts.map((part, i) => number(fallback[i], low, high).read(part));
  } };
}

/** Text of this form: a walk, a list of names, what somebody typed. */
export function text(fallback, form) {
  return { fallback, read: (given) => (form.test(given) ? given : fallback) };
}

/** The state in an address, of the names that it may have. */
export function reader(kinds, address) {
  const found = {};
  for (const [name, given] of new URLSearchParams(address)) {
    if (Object.hasOwn(kinds, name)) found[name] = kinds[name].read(given);
  }
  return found;
}
