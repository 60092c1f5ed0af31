// SVG without a library: elements, and pictures that are redrawn when their width changes.

const SPACE = "http://www.w3.org/2000/svg";

/** An element with attributes and children (elements, or text). */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

/** An icon of the page's sprite, in a square. */
export function icon(name, x, y, size) {
  return svg("use", { href: `#icon-${name}`, x, y, width: size, height: size, class: `icon ${name}` });
}

/** A straight arrow from one point to another; nothing where it would be too short to see. */
export function arrow([x0, y0], [x1, y1], { head = 7, ...attributes } = {}) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 0.5) return svg("g", attributes);
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
  const h = Math.min(head, 0.7 * length);
  const [bx, by] = [x1 - h * ux, y1 - h * uy];
  const wing = 0.55 * h;
  return svg(
    "g",
    attributes,
    svg("path", { d: `M${x0} ${y0}L${bx} ${by}`, class: "shaft" }),
    svg("path", {
      d: `M${x1} ${y1}L${bx - wing * uy} ${by + wing * ux}L${bx + wing * uy} ${by - wing * ux}Z`,
      class: "head",
    }),
  );
}

/** Call `redraw` when one of these pictures gets another width. */
export function onResize(pictures, redraw) {
  let widths = pictures.map((picture) => picture.clientWidth);
  new ResizeObserver(() => {
    const now = pictures.map((picture) => picture.clientWidth);
    if (now.every((width, i) => width === widths[i])) return;
    widths = now;
    redraw();
  }).observe(document.body);
}
