// Elements, made in one call, and the one place that speaks to screen readers.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on` holds listeners, `class` classes, `style` CSS properties; what is null or false is left out. */
export function make(name, { on = {}, style = {}, class: classes = "", ...rest } = {}, ...children) {
  const element = document.createElement(name);
  return dressed(element, { on, style, classes, rest }, children);
}

/** The same for SVG. */
export function draw(name, { on = {}, style = {}, class: classes = "", ...rest } = {}, ...children) {
  return dressed(document.createElementNS(SVG, name), { on, style, classes, rest }, children);
}

function dressed(element, { on, style, classes, rest }, children) {
  if (classes) element.setAttribute("class", classes);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  // Through the object model: the content security policy forbids style attributes.
  for (const [property, value] of Object.entries(style)) element.style.setProperty(property, value);
  for (const [attribute, value] of Object.entries(rest)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "boolean" && attribute in element) element[attribute] = value;
    else element.setAttribute(attribute, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that does not send the form it stands in. */
export function button(text, act, options = {}) {
  return make("button", { type: "button", ...options, on: { click: act } }, ...[text].flat());
}

/** What stands behind a small heading and opens on demand. */
export function more(summary, ...children) {
  return make("details", { class: "more" }, make("summary", {}, summary), ...children);
}

/** Replaces the children only where something changed, so that nothing under a finger or a focus is taken away. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter(Boolean));
  return element;
}

/** Sets a text, and says nothing to anybody where it is the same. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Told to screen readers. */
export function say(words) {
  write(document.getElementById("said"), words);
}

let count = 0;

/** An id that nothing else on this page has. */
export function newId(stem) {
  count += 1;
  return `${stem}-${count}`;
}
