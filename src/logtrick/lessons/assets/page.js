// What every page has: its data, its state in the address, controls, live numbers, the check.

export const data = JSON.parse(document.getElementById("data").textContent);

const MINUS = "\u2212";

/** A number for people: a true minus sign, about three digits. */
export function format(x, digits) {
  if (Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : MINUS + "∞";
  const size = Math.abs(x);
  const places = digits ?? (size >= 100 ? 1 : size >= 10 ? 2 : 3);
  if (digits === undefined && size > 0 && size < 0.5 * 10 ** -places) return (x < 0 ? MINUS : "") + scientific(size);
  const text = size.toFixed(places);
  return (x < 0 && Number(text) !== 0 ? MINUS : "") + text;
}

/** A small number as 3 × 10⁻¹⁶. */
function scientific(x) {
  if (!(x > 0 && x < Infinity)) return format(x, 0);
  const [digits, power] = x.toExponential(0).split("e");
  const raised = [...power.replace("+", "")].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");
  return `${digits} × 10${raised}`;
}

/** Put a number where it is shown; `data-value` keeps all its digits. */
export function show(name, value, text) {
  for (const place of document.querySelectorAll(`[data-live="${name}"]`)) {
    const digits = place.dataset.digits;
    place.textContent = text ?? format(value, digits && Number(digits));
    place.dataset.value = String(value);
  }
}

/** Words, where `show` has numbers. */
export function say(name, words) {
  for (const place of document.querySelectorAll(`[data-live="${name}"]`)) {
    if (place.textContent !== words) place.textContent = words;
  }
}

/**
 * The state of a page: controls set it, the address keeps it, a picture is drawn from it.
 * Every input, select and button group that carries a name of the state is bound to it.
 */
export class Store {
  constructor(defaults) {
    this.defaults = defaults;
    this.values = { ...defaults, ...this.#fromAddress() };
    this.drawers = [];
    this.pending = false;
    addEventListener("hashchange", () => {
      this.values = { ...this.defaults, ...this.#fromAddress() };
      this.#reflect();
      this.#schedule();
    });
  }

  /** Call `draw(values)` now and after every change. */
  start(draw) {
    this.drawers.push(draw);
    this.#bind();
    this.#reflect();
    draw(this.values);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  }

  set(changes) {
    Object.assign(this.values, changes);
    this.#reflect();
    this.#schedule();
  }

  #schedule() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      for (const draw of this.drawers) draw(this.values);
      history.replaceState(null, "", "#" + this.address());
    });
  }

  /** What differs from the defaults, as it stands in the address. */
  address() {
    const changed = Object.entries(this.values).filter(
      ([name, value]) => String(value) !== String(this.defaults[name]),
    );
    return changed.map(([name, value]) => `${name}=${encodeURIComponent(String(value)).replaceAll("%2C", ",")}`).join("&");
  }

  #fromAddress() {
    const found = {};
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      const kind = this.defaults[name];
      if (kind === undefined) continue;
      const value = Array.isArray(kind) ? text.split(",").map(Number)
        : typeof kind === "number" ? Number(text)
        : typeof kind === "boolean" ? text === "true" : text;
      const sound = Array.isArray(kind)
        ? value.length === kind.length && value.every(Number.isFinite)
        : typeof kind !== "number" || Number.isFinite(value);
      if (sound) found[name] = value;
    }
    return found;
  }

  #inputs() {
    return [...document.querySelectorAll("input[name], select[name]")].filter(
      (input) => input.name in this.defaults,
    );
  }

  #bind() {
    for (const input of this.#inputs()) {
      input.addEventListener("input", () => {
        const value = input.type === "checkbox" ? input.checked : input.value;
        this.set({ [input.name]: typeof this.defaults[input.name] === "number" ? Number(value) : value });
      });
    }
  }

  #reflect() {
    for (const input of this.#inputs()) {
      const value = this.values[input.name];
      if (input.type === "checkbox") input.checked = value;
      else if (input.type === "radio") input.checked = input.value === String(value);
      else input.value = String(value);
      if (input.type === "range") {
        const share = (input.value - input.min) / (input.max - input.min);
        input.style.setProperty("--filled", `${100 * share}%`);
      }
    }
  }
}

/** The control of this name does this. */
export function onClick(name, action) {
  for (const button of document.querySelectorAll(`[data-do="${name}"]`)) {
    button.addEventListener("click", () => action(button));
  }
}

/**
 * Recompute the library's reference numbers and say by how much they differ.
 * `recompute(setting)` returns the same names as each reference, numbers or nested lists.
 */
export function check(recompute) {
  let [count, worst] = [0, 0];
  const compare = (found, wanted) => {
    if (Array.isArray(wanted)) {
      if (found.length !== wanted.length) throw new Error("a reference has another shape");
      wanted.forEach((x, i) => compare(found[i], x));
    } else {
      count += 1;
      worst = Math.max(worst, Math.abs(found - wanted) / Math.max(1, Math.abs(wanted)));
      if (!Number.isFinite(found)) worst = Infinity;
    }
  };
  for (const { setting, numbers } of data.references) {
    const found = recompute(setting);
    for (const [name, wanted] of Object.entries(numbers)) compare(found[name], wanted);
  }
  show("checked", count, String(count));
  show("difference", worst, scientific(worst));
  return worst;
}

onClick("copy", async (button) => {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it from the address bar";
  }
  setTimeout(() => (button.textContent = words), 2000);
});
