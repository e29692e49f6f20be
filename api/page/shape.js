// How the picture is drawn: its size, the preset, and behind "More" what few people need.

import { make, more, newId } from "./dom.js";
import { limits } from "./server.js";
import { MODES, PRESETS } from "./words.js";

const SHAPES = [
  { name: "Square", ratio: 1 },
  { name: "Wide", ratio: 3 / 2 },
  { name: "Tall", ratio: 2 / 3 },
];

/** The sizes that are offered: of those this server draws, the nearest to each shape and to its usual area. */
export const SIZES = SHAPES.map(({ name, ratio }) => ({ name, ...nearest(ratio) }));

function nearest(ratio) {
  if (ratio === 1) return { width: limits.width_px, height: limits.height_px };
  const area = limits.width_px * limits.height_px;
  const sides = [];
  for (let side = limits.min_px; side <= limits.max_px; side += limits.multiple_px) sides.push(side);
  const far = ({ width, height }) =>
    2 * Math.abs(Math.log(width / height / ratio)) + Math.abs(Math.log((width * height) / area));
  return sides.flatMap((width) => sides.map((height) => ({ width, height }))).reduce((a, b) => (far(b) < far(a) ? b : a));
}

/** The choices of a draft: width, height, preset, mode, seed, avoid, tries, told. `changed` is called after each change. */
export class Shape {
  constructor(draft, changed) {
    Object.assign(this, { draft, changed });
    this.sizes = make("fieldset", { class: "choice shapes" });
    this.presets = this.choice("Quality", "preset", Object.entries(PRESETS));
    this.modes = this.choice("Mode", "mode", Object.entries(MODES));
    this.avoid = this.field("Avoid", "avoid", { placeholder: "blurry, text…", maxlength: String(limits.max_prompt_chars) });
    this.seed = this.field("Seed", "seed", { placeholder: "any", inputmode: "numeric", pattern: "[0-9]{1,18}" });
    this.again = this.check("Draw up to three times, until everybody is recognizable", (on) => ({ tries: on ? 3 : 1 }));
    this.told = this.check("Write these settings into the picture’s file", (on) => ({ told: on }));
    this.element = make(
      "div",
      { class: "shape" },
      this.sizes,
      this.presets,
      more(
        "More",
        this.modes,
        make("div", { class: "pair" }, this.seed.element, this.avoid.element),
        this.again.element,
        this.told.element,
      ),
    );
  }

  choice(title, field, options) {
    const name = newId(field);
    const rows = options.map(([value, { name: text, words }]) =>
      make(
        "label",
        { title: words },
        make("input", { type: "radio", name, value, on: { change: () => this.set({ [field]: value }) } }),
        make("span", {}, text),
      ),
    );
    return make("fieldset", { class: "choice" }, make("legend", {}, title), make("div", { class: "options" }, ...rows));
  }

  field(title, field, attributes) {
    const id = newId(field);
    const input = make("input", { id, autocomplete: "off", ...attributes, on: { input: () => this.set({ [field]: input.value.trim() }) } });
    return { element: make("div", { class: "field" }, make("label", { for: id }, title), input), input };
  }

  check(words, values) {
    const input = make("input", { type: "checkbox", on: { change: () => this.set(values(input.checked)) } });
    return { element: make("label", { class: "check" }, input, make("span", {}, words)), input };
  }

  set(values) {
    Object.assign(this.draft, values);
    this.changed();
  }

  /** Shows the choices as they are. */
  update() {
    const { draft } = this;
    const known = SIZES.some((size) => size.width === draft.width && size.height === draft.height);
    const sizes = known ? SIZES : [...SIZES, { name: "Original", width: draft.width, height: draft.height }];
    if (this.sizes.dataset.count !== String(sizes.length)) {
      this.sizes.dataset.count = String(sizes.length);
      const name = newId("size");
      this.sizes.replaceChildren(
        make("legend", {}, "Size"),
        make("div", { class: "options" }, ...sizes.map((size) => this.size(name, size))),
      );
    }
    for (const input of this.element.querySelectorAll("input[type=radio]")) {
      input.checked = [draft.preset, draft.mode, `${draft.width}x${draft.height}`].includes(input.value);
    }
    for (const field of ["seed", "avoid"]) if (this[field].input.value !== draft[field]) this[field].input.value = draft[field];
    this.again.input.checked = draft.tries > 1;
    this.told.input.checked = draft.told;
  }

  size(name, { name: text, width, height }) {
    const value = `${width}x${height}`;
    const longest = Math.max(width, height);
    const style = { width: `${(width / longest) * 22}px`, height: `${(height / longest) * 22}px` };
    return make(
      "label",
      {},
      make("input", { type: "radio", name, value, on: { change: () => this.set({ width, height }) } }),
      make("span", {}, make("i", { style, "aria-hidden": "true" }), make("b", {}, text), make("small", {}, `${width} × ${height}`)),
    );
  }
}
