import { arrow, svg } from "./svg.js";

// A square piece of the plane of the two parameters: x is "right", y is "up".

const SQUARE = 400;
const PAD = 48;

export class Plane {
  /** @param reach  half the width of what is seen, in units of the parameters */
  constructor(picture, { reach, xLabel, yLabel, names }) {
    if (names) [xLabel, yLabel] = names.map((name) => `${name} →`);
    Object.assign(this, { picture, reach, xLabel, yLabel });
    picture.setAttribute("viewBox", `0 0 ${SQUARE + PAD} ${SQUARE + PAD}`);
    const name = `clip-${picture.dataset.picture}`;
    picture.append(svg("clipPath", { id: name }, svg("rect", { x: PAD, y: 0, width: SQUARE, height: SQUARE, rx: 8 })));
    this.ground = svg("g", { "clip-path": `url(#${name})` });
    this.layer = svg("g", { "clip-path": `url(#${name})` });
    this.marks = svg("g");
    picture.append(this.ground, this.marks, this.layer);
  }

  /** Where a point [right, up] is drawn. */
  at([right, up]) {
    return [
      PAD + SQUARE / 2 + (right / this.reach) * (SQUARE / 2),
      SQUARE / 2 - (up / this.reach) * (SQUARE / 2),
    ];
  }

  /** The point [right, up] under the pointer. */
  pointAt(event) {
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.picture.getScreenCTM().inverse());
    return [
      ((spot.x - PAD - SQUARE / 2) / (SQUARE / 2)) * this.reach,
      (-(spot.y - SQUARE / 2) / (SQUARE / 2)) * this.reach,
    ];
  }

  /** Frame, zero lines and a few numbers. */
  axes(numbers) {
    const [x0, y0] = this.at([0, 0]);
    this.marks.replaceChildren(
      svg("rect", { x: PAD, y: 0, width: SQUARE, height: SQUARE, rx: 8, class: "edge" }),
      svg("path", { d: `M${PAD} ${y0}H${PAD + SQUARE}M${x0} 0V${SQUARE}`, class: "cross" }),
      svg("text", { x: PAD + SQUARE, y: SQUARE + 30, class: "tick end" }, this.xLabel),
      svg("text", { x: 12, y: 6, class: "tick end", transform: "rotate(-90 12 6)" }, this.yLabel),
      ...numbers.flatMap((v) => {
        const words = String(v).replace("-", "\u2212");
        return [
          svg("text", { x: this.at([v, 0])[0], y: SQUARE + 15, class: "tick middle" }, words),
          svg("text", { x: PAD - 6, y: this.at([0, v])[1] + 4, class: "tick end" }, words),
        ];
      }),
    );
  }

  clear() {
    this.layer.replaceChildren();
  }

  dot(point, radius, kind) {
    const [cx, cy] = this.at(point);
    this.layer.append(svg("circle", { cx, cy, r: radius, class: kind }));
  }

  arrow(from, to, kind, head = 13) {
    this.layer.append(arrow(this.at(from), this.at(to), { head, class: `vector ${kind}` }));
  }

  /** A word just beyond the tip of an arrow from the middle. */
  label(words, point) {
    const size = Math.hypot(...point) || 1;
    const [x, y] = this.at(point.map((v) => v + (0.09 * this.reach * v) / size));
    this.layer.append(svg("text", { x, y: y + 4, class: "tick middle" }, words));
  }

  path(points, kind) {
    const d = points.map((p, i) => `${i ? "L" : "M"}${this.at(p).map((v) => v.toFixed(1)).join(" ")}`);
    if (points.length > 1) this.layer.append(svg("path", { d: d.join(""), class: kind }));
  }

  /** The oval of so many standard deviations about a mean. */
  oval(mean, covariance, deviations, kind) {
    const [[a, b], [, c]] = covariance;
    const [half, spread] = [(a + c) / 2, Math.hypot((a - c) / 2, b)];
    const lengths = [half + spread, Math.max(0, half - spread)].map((v) => deviations * Math.sqrt(v));
    const turn = Math.atan2(2 * b, a - c) / 2;
    const points = Array.from({ length: 73 }, (_, i) => {
      const [u, v] = [lengths[0] * Math.cos((i * Math.PI) / 36), lengths[1] * Math.sin((i * Math.PI) / 36)];
      return [mean[0] + u * Math.cos(turn) - v * Math.sin(turn), mean[1] + u * Math.sin(turn) + v * Math.cos(turn)];
    });
    this.path(points, kind);
  }

  /** Colour the ground by a function of [right, up]: bands of equal level, smooth in between. */
  paint(value, level, colourOf) {
    const nodes = 32;
    const fine = 5;
    const knot = (i) => this.reach * ((2 * i) / nodes - 1);
    const table = Array.from({ length: nodes + 1 }, (_, i) =>
      Array.from({ length: nodes + 1 }, (_, j) => value([knot(j), -knot(i)])),
    );
    const between = (i, j) => {
      const [y, x] = [(i + 0.5) / fine, (j + 0.5) / fine];
      const [r, c] = [Math.floor(y), Math.floor(x)];
      const mix = (p, q, share) => p + (q - p) * share;
      return mix(mix(table[r][c], table[r][c + 1], x - c), mix(table[r + 1][c], table[r + 1][c + 1], x - c), y - r);
    };
    const bands = new Map();
    const [count, side] = [nodes * fine, SQUARE / (nodes * fine)];
    for (let i = 0; i < count; i++) {
      const levels = Array.from({ length: count }, (_, j) => level(between(i, j)));
      for (let j = 0, run = 1; j < count; j += run, run = 1) {
        while (j + run < count && levels[j + run] === levels[j]) run++;
        const d = `M${(PAD + j * side).toFixed(1)} ${(i * side).toFixed(1)}h${(run * side).toFixed(1)}v${(side + 0.1).toFixed(1)}h${(-run * side).toFixed(1)}Z`;
        bands.set(levels[j], (bands.get(levels[j]) ?? "") + d);
      }
    }
    this.ground.replaceChildren(
      ...[...bands].map(([band, d]) => {
        const path = svg("path", { d, "shape-rendering": "crispEdges" });
        path.style.fill = colourOf(band);
        return path;
      }),
    );
  }
}
