import { arrow, icon, svg } from "./svg.js";

// The grid world as a picture: colours, numbers, arrows of probability, and the snail.

const [SIZE, GAP] = [100, 6];
const TOWARDS = [[0, -1], [1, 0], [0, 1], [-1, 0]];
const [MIDDLE, STEM, REACH] = [[50, 38], 8, 24];
const KEYS = { ArrowUp: 0, ArrowRight: 1, ArrowDown: 2, ArrowLeft: 3 };
const ICONS = { goal: "leaf", hole: "flask", cliff: "flask", start: "house", salad: "leaf", poison: "flask", home: "house", grass: "grass" };

/** How a state is called. */
export function stateName(mdp, s) {
  return mdp.names[s] || `row ${mdp.cells[s][0] + 1}, column ${mdp.cells[s][1] + 1}`;
}

export class Garden {
  /**
   * @param picture  an empty <svg>
   * @param mdp      with `cells`, [row, column] of each state, and `names`
   * @param pick     called with a state when a cell is chosen; without it the picture is passive
   * @param pull     called with (state, action, probability) while an arrow is dragged
   */
  constructor(picture, mdp, { pick, pull, label }) {
    Object.assign(this, { picture, mdp, pick, pull });
    picture.classList.toggle("pullable", Boolean(pull && mdp.ways));
    const rows = 1 + Math.max(...mdp.cells.map(([row]) => row));
    const columns = 1 + Math.max(...mdp.cells.map(([, column]) => column));
    const extent = (n) => n * SIZE + (n - 1) * GAP;
    picture.setAttribute("viewBox", `-3 -3 ${extent(columns) + 6} ${extent(rows) + 6}`);
    picture.setAttribute("role", pick ? "radiogroup" : "img");
    picture.setAttribute("aria-label", label);
    picture.append(this.#wall(rows, columns));
    this.cells = mdp.cells.map((at, s) => this.#cell(at, s));
    this.snail = icon("snail", 0, 0, 44);
    picture.append(...this.cells.map(({ group }) => group), this.snail);
  }

  #wall(rows, columns) {
    const taken = new Set(this.mdp.cells.map(String));
    const group = svg("g", { class: "wall", "aria-hidden": "true" });
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (taken.has(String([row, column]))) continue;
        const [x, y] = [column * (SIZE + GAP), row * (SIZE + GAP)];
        group.append(svg("rect", { x, y, width: SIZE, height: SIZE, rx: 8 }));
      }
    }
    return group;
  }

  #cell([row, column], s) {
    const [x, y] = [column * (SIZE + GAP), row * (SIZE + GAP)];
    const rect = svg("rect", { width: SIZE, height: SIZE, rx: 8, class: "cell" });
    const sign = svg("g", { "aria-hidden": "true" });
    const arrows = svg("g", { class: "arrows", "aria-hidden": "true" });
    const text = svg("text", { x: SIZE / 2, y: SIZE - 12, class: "number" });
    const group = svg("g", { transform: `translate(${x} ${y})`, "data-cell": s }, rect, sign, arrows, text);
    if (this.pick) this.#choosable(group, s);
    if (this.pull && this.mdp.ways) this.#pullable(group, s);
    return { group, rect, sign, arrows, text, x, y };
  }

  #choosable(group, s) {
    group.setAttribute("role", "radio");
    group.addEventListener("click", () => this.pick(s));
    group.addEventListener("keydown", (event) => {
      const to = event.key in KEYS ? this.#neighbour(s, KEYS[event.key]) : s;
      if (!(event.key in KEYS) && event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      this.pick(to);
      // The choice is drawn by now, so what is chosen, what has the focus and what is spoken agree.
      this.cells[to].group.focus();
    });
  }

  /** Drag from the middle of a cell: the way says which action, the distance how probable. */
  #pullable(group, s) {
    let action = null;
    let held = false;
    group.addEventListener("pointerdown", (event) => {
      held = event.pointerType === "mouse" || group.getAttribute("aria-checked") === "true";
      if (!held) return;
      action = null;
      this.pick(s);
      group.setPointerCapture(event.pointerId);
    });
    group.addEventListener("pointermove", (event) => {
      if (!held) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(group.getScreenCTM().inverse());
      const offset = [at.x - MIDDLE[0], at.y - MIDDLE[1]];
      const along = this.mdp.ways.map((way) => TOWARDS[way][0] * offset[0] + TOWARDS[way][1] * offset[1]);
      if (action === null && Math.max(...along) < 8) return;
      action ??= along.indexOf(Math.max(...along));
      this.pull(s, action, Math.min(1, Math.max(0, (along[action] - STEM) / REACH)));
    });
    for (const end of ["pointerup", "pointercancel"]) group.addEventListener(end, () => (held = false));
  }

  /** The next cell that way, over the wall if need be; the same one at the edge. */
  #neighbour(s, move) {
    const [dx, dy] = TOWARDS[move];
    let [row, column] = this.mdp.cells[s];
    for (let tries = 0; tries < 2; tries++) {
      [row, column] = [row + dy, column + dx];
      const found = this.mdp.cells.findIndex(([r, c]) => r === row && c === column);
      if (found >= 0) return found;
    }
    return s;
  }

  /**
   * @param names    what is in each cell, if not what the MDP says
   * @param fill     [colour name, share between 0 and 1] of each state
   * @param texts    the words in each state, with `values` behind them in full
   * @param pi       probabilities, drawn as arrows
   * @param snail    where it is
   * @param chosen   the cell that is picked
   */
  draw({ names = this.mdp.names, fill, texts, values, pi, snail, chosen, what = "V" }) {
    this.cells.forEach((cell, s) => {
      const [colour, share] = fill ? fill[s] : ["cell", 0];
      const percent = (70 * Math.min(1, Math.max(0, share))).toFixed(1);
      cell.rect.style.fill = `color-mix(in oklab, var(--${colour}) ${percent}%, var(--cell))`;
      cell.text.textContent = texts ? texts[s] : "";
      cell.text.classList.toggle("long", (texts?.[s].length ?? 0) > 6);
      if (values) cell.group.dataset.value = String(values[s]);
      const sign = ICONS[names[s]];
      const label = sign || !names[s] ? [] : [svg("text", { x: 8, y: 20, class: "name" }, names[s].slice(0, 9))];
      cell.sign.replaceChildren(...(sign ? [icon(sign, 5, 5, 28)] : label));
      cell.arrows.replaceChildren(...(pi ? probabilities(pi[s], this.mdp.ways) : []));
      if (this.pick) {
        cell.group.setAttribute("aria-checked", String(s === chosen));
        cell.group.setAttribute("tabindex", s === chosen ? "0" : "-1");
        cell.group.setAttribute("aria-label", spoken(this.mdp, names, s, texts && `${what} ${texts[s]}`));
      }
    });
    this.snail.setAttribute("visibility", snail === undefined ? "hidden" : "visible");
    if (snail !== undefined) {
      const { x, y } = this.cells[snail];
      this.snail.setAttribute("x", String(x + 30));
      this.snail.setAttribute("y", String(y + 24));
    }
  }
}

function spoken(mdp, names, s, number) {
  const [row, column] = mdp.cells[s];
  return [`row ${row + 1}, column ${column + 1}`, names[s], number].filter(Boolean).join(", ");
}

/** An arrow for each direction, as long as it is probable; bars where actions are no directions. */
function probabilities(row, ways) {
  const width = 76 / row.length;
  return row.flatMap((p, a) => {
    if (p < 0.02) return [];
    if (!ways) return [svg("rect", { x: 12 + a * width, y: 70 - 50 * p, width: width - 3, height: 50 * p, class: "chance" })];
    const [dx, dy] = TOWARDS[ways[a]];
    const [x, y] = MIDDLE;
    const to = STEM + REACH * p;
    return [arrow([x + 5 * dx, y + 5 * dy], [x + dx * to, y + dy * to], { head: 9 })];
  });
}

/** Colours of values: blue above 0, red below, relative to the largest; roots make small ones seen. */
export function valueColours(values, largest = Math.max(...values.map(Math.abs), 1e-12)) {
  return values.map((v) => [v >= 0 ? "good" : "bad", Math.sqrt(Math.abs(v) / largest)]);
}
