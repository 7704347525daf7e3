/** The few things that every view needs of the DOM. Text becomes text nodes, never markup. */

/**
 * The element that a selector names.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * A new element.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `onclick` and the like are listeners; null and false leave out.
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/**
 * A symbol of the page's sprite.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Tell a screen reader.
 * @param {string} text
 * @param {boolean} [isError] Interrupts.
 */
export function announce(text, isError = false) {
  $(isError ? "#announce-error" : "#announce").textContent = text;
}

/**
 * Show a problem's text where it belongs, or take it away.
 * @param {HTMLElement} place
 * @param {string} text
 */
export function showText(place, text) {
  place.textContent = text;
  place.hidden = text === "";
}
