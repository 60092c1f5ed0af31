import { reader } from "./address.js";
import { keep, kept } from "./memory.js";

// What every page has: its data, its state in the address, controls, live numbers, the check.

export const data = JSON.parse(document.getElementById("data").textContent);

// The page comes with the first state of each picture, for readers without scripts.
for (const picture of document.querySelectorAll("svg[data-picture]")) {
  picture.replaceChildren();
  for (const name of ["viewBox", "height", "role"]) if (picture.dataset.still) picture.removeAttribute(name);
  if (picture.hasAttribute("aria-label")) picture.setAttribute("role", "img");
}
export const picture = (name) => document.querySelector(`[data-picture="${name}"]`);

const MINUS = "\u2212";

/** Smaller than rounding can tell from nothing. */
const NOTHING = 1e-12;

/** A number for people: a true minus sign, about three digits; what is only rounding is 0. */
export function format(x, digits) {
  if (Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : MINUS + "∞";
  const size = Math.abs(x);
  if (size < NOTHING) return (0).toFixed(digits ?? 0);
  const places = digits ?? (size >= 100 ? 1 : size >= 10 ? 2 : 3);
  if (digits === undefined && size < 0.5 * 10 ** -places) return (x < 0 ? MINUS : "") + scientific(size);
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

/** A vector for people, in the order of the plane: (right, up). */
export function pair(x) {
  const size = Math.hypot(...x);
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.005 ? 3 : 5;
  return `(${x.map((v) => (Math.abs(v) < NOTHING ? "0" : format(v, digits))).join(", ")})`;
}

/** Put a number where it is shown; `data-value` keeps all its digits. */
export function show(name, value, text) {
  for (const place of document.querySelectorAll(`[data-live="${name}"]`)) {
    const digits = place.dataset.digits;
    place.textContent = text ?? format(value, digits && Number(digits));
    place.dataset.value = String(value);
  }
}

/** A vector, where `show` has a number. */
export const showVector = (name, x) => show(name, x.join(" "), pair(x));

/** Words, where `show` has numbers. */
export function say(name, words) {
  for (const place of document.querySelectorAll(`[data-live="${name}"]`)) {
    if (place.textContent !== words) place.textContent = words;
  }
}

/**
 * The state of a page: controls set it, the address keeps it, a picture is drawn from it.
 * Every input and select that carries a name of the state is bound to it.
 */
export class Store {
  /** @param kinds  name -> what may stand in the address for it (see address.js) */
  constructor(kinds) {
    this.kinds = kinds;
    this.defaults = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, kind.fallback]));
    this.values = { ...this.defaults, ...this.#fromAddress() };
    this.drawers = [];
    this.pending = 0;
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
    speakRanges();
    document.documentElement.dataset.keys = Object.keys(this.kinds).join(" ");
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  }

  set(changes) {
    Object.assign(this.values, changes);
    this.#reflect();
    this.#schedule();
  }

  /** The same, and everything is drawn on return: what has the focus next must exist. */
  setNow(changes) {
    Object.assign(this.values, changes);
    this.#reflect();
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = 0;
    for (const draw of this.drawers) draw(this.values);
    speakRanges();
    try {
      history.replaceState(null, "", "#" + this.address());
    } catch {
      // A page inside another page may have no address of its own.
    }
  }

  #schedule() {
    this.pending ||= requestAnimationFrame(() => this.draw());
  }

  /** What differs from the defaults, as it stands in the address. */
  address() {
    const changed = Object.entries(this.values).filter(
      ([name, value]) => String(value) !== String(this.defaults[name]),
    );
    return changed.map(([name, value]) => `${name}=${encodeURIComponent(String(value)).replaceAll("%2C", ",")}`).join("&");
  }

  #fromAddress() {
    return reader(this.kinds, location.hash.slice(1));
  }

  #inputs() {
    return [...document.querySelectorAll("input[name], select[name]")].filter(
      (input) => input.name in this.kinds,
    );
  }

  #bind() {
    for (const input of this.#inputs()) {
      input.addEventListener("input", () => {
        const text = input.type === "checkbox" ? String(input.checked) : input.value;
        this.set({ [input.name]: this.kinds[input.name].read(text) });
      });
    }
  }

  #reflect() {
    for (const input of this.#inputs()) {
      const value = this.values[input.name];
      if (input.type === "checkbox") input.checked = value;
      else if (input.type === "radio") input.checked = input.value === String(value);
      else if (document.activeElement !== input || input.type === "range") input.value = String(value);
    }
  }
}

/** Every slider says what it shows, and is filled as far as it is moved. */
function speakRanges() {
  for (const input of document.querySelectorAll("input[type=range]")) {
    const share = (input.value - input.min) / (input.max - input.min);
    input.style.setProperty("--filled", `${100 * share}%`);
    const shown = input.closest("label")?.querySelector("output")?.textContent;
    if (shown) input.setAttribute("aria-valuetext", shown);
  }
}

/** The control of this name does this. */
export function onClick(name, action) {
  for (const button of document.querySelectorAll(`[data-do="${name}"]`)) {
    button.addEventListener("click", () => action(button));
  }
}

/** Open the folds that hold a part of the page that is linked to. */
export function unfold(element) {
  for (let fold = element?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
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

// The notation of somebody else: formulas come in the lesson's own, and are exchanged.

/** Write the formulas in `root` in the chosen notation. */
export function renotate(root = document) {
  const menu = document.querySelector("[data-notation]");
  const table = data.notations?.[menu?.value] ?? {};
  for (const math of root.querySelectorAll("math[alttext]")) {
    math.dataset.here ??= math.getAttribute("alttext");
    const other = table[math.dataset.here];
    if (!other && !math.original) continue;
    math.original ??= math.innerHTML;
    // The markup is the library's own, made when the page was written.
    math.innerHTML = other ? other[1] : math.original;
    math.setAttribute("alttext", other ? other[0] : math.dataset.here);
  }
}

const menu = document.querySelector("[data-notation]");
if (menu) {
  const asked = new URLSearchParams(location.hash.slice(1)).get("notation") ?? kept("notation");
  if ([...menu.options].some(({ value }) => value === asked)) menu.value = asked;
  menu.addEventListener("change", () => {
    const remembered = keep("notation", menu.value);
    if (!remembered) for (const link of document.querySelectorAll(".site a, a.forward")) link.hash = `notation=${menu.value}`;
    renotate();
  });
  renotate();
}
