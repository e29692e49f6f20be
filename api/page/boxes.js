// Saying where somebody stands: a box each over the template, by dragging, by arrow keys or by numbers.

import { button, make, newId, say } from "./dom.js";

// The server takes no box smaller than 8 pixels.
const LEAST_PX = 8;
const CORNERS = { nw: [0, 1], ne: [2, 1], sw: [0, 3], se: [2, 3] };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDES = ["left", "top", "right", "bottom"];

/** An editor over a frame. people: names; boxes: one each, [x1, y1, x2, y2] in pixels, or null for a first guess. */
export class Boxes {
  constructor(frame, people, boxes, { done, left }) {
    const [width, height] = [frame.width, frame.height];
    Object.assign(this, { frame, people, width, height });
    this.boxes = boxes.map((box, index) => (box ? box.map(Math.round) : guess(index, people.length, width, height)));
    this.rects = people.map((name, index) => this.rect(name, index));
    this.fields = people.map((name, index) => this.row(name, index));
    this.layer = make(
      "div",
      { class: "boxes", on: { pointerdown: (event) => this.drawNew(event) } },
      ...this.rects,
    );
    frame.regions.replaceChildren();
    frame.element.append(this.layer);
    this.element = make(
      "section",
      { class: "mend", "aria-label": "Who stands where" },
      make("h3", {}, "Show who stands where"),
      make(
        "p",
        { class: "hint" },
        "Drag each frame over its person, head and shoulders too. With the keyboard: arrows move it, Shift and arrows resize it.",
      ),
      ...this.fields,
      make(
        "div",
        { class: "row" },
        button("Continue with these regions", () => done(this.boxes.map((box) => [...box])), { class: "main" }),
        button("Close", left, { class: "quiet" }),
      ),
    );
    this.choose(0);
    this.update();
  }

  rect(name, index) {
    const rect = make(
      "div",
      {
        class: `box p${index}`,
        tabindex: "0",
        role: "group",
        on: {
          focus: () => this.choose(index),
          keydown: (event) => this.key(event, index),
          pointerdown: (event) => this.drag(event, index, [0, 1, 2, 3]),
        },
      },
      make("span", {}, name),
    );
    for (const [corner, sides] of Object.entries(CORNERS)) {
      rect.append(make("i", { class: corner, on: { pointerdown: (event) => this.drag(event, index, sides) } }));
    }
    return rect;
  }

  row(name, index) {
    const inputs = SIDES.map((side, at) => {
      const id = newId(side);
      const most = at % 2 ? this.height : this.width;
      const input = make("input", {
        id,
        type: "number",
        min: "0",
        max: String(most),
        inputmode: "numeric",
        on: {
          change: () => {
            const box = [...this.boxes[index]];
            box[at] = Number(input.value) || 0;
            this.set(index, settled(box, at < 2 ? [at] : [at], this.width, this.height));
          },
        },
      });
      return { input, element: make("div", { class: "side" }, make("label", { for: id }, side), input) };
    });
    const row = make(
      "fieldset",
      { class: `numbers p${index}`, on: { focusin: () => this.choose(index) } },
      make("legend", {}, name),
      ...inputs.map(({ element }) => element),
    );
    row.inputs = inputs.map(({ input }) => input);
    return row;
  }

  choose(index) {
    this.chosen = index;
    this.rects.forEach((rect, other) => rect.classList.toggle("chosen", other === index));
  }

  set(index, box) {
    this.boxes[index] = box;
    this.update();
  }

  update() {
    this.boxes.forEach(([x1, y1, x2, y2], index) => {
      const { style } = this.rects[index];
      style.left = `${(x1 / this.width) * 100}%`;
      style.top = `${(y1 / this.height) * 100}%`;
      style.width = `${((x2 - x1) / this.width) * 100}%`;
      style.height = `${((y2 - y1) / this.height) * 100}%`;
      const words = `${this.people[index]}: from ${x1}, ${y1} to ${x2}, ${y2} pixels. Arrows move, Shift and arrows resize.`;
      this.rects[index].setAttribute("aria-label", words);
      this.fields[index].inputs.forEach((input, at) => {
        if (document.activeElement !== input || Number(input.value) !== this.boxes[index][at]) input.value = this.boxes[index][at];
      });
    });
  }

  key(event, index) {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(this.width / 64));
    const [dx, dy] = arrow.map((way) => way * step);
    const moved = shifted(this.boxes[index], event.shiftKey ? [2, 3] : [0, 1, 2, 3], dx, dy, this.width, this.height);
    this.set(index, moved);
    say(`${this.people[index]}: ${moved.join(", ")}`);
  }

  drag(event, index, sides) {
    event.preventDefault();
    event.stopPropagation();
    this.choose(index);
    this.rects[index].focus({ preventScroll: true });
    const from = this.at(event);
    const box = this.boxes[index];
    this.follow(event, (to) => {
      this.set(index, shifted(box, sides, Math.round(to.x - from.x), Math.round(to.y - from.y), this.width, this.height));
    });
  }

  /** A new box for the chosen person, from where nobody's is. */
  drawNew(event) {
    event.preventDefault();
    const index = this.chosen;
    this.rects[index].focus({ preventScroll: true });
    const from = this.at(event);
    this.follow(event, (to) => {
      const box = [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)].map(Math.round);
      if (box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX) this.set(index, settled(box, [], this.width, this.height));
    });
  }

  follow(event, moved) {
    const { layer } = this;
    layer.setPointerCapture(event.pointerId);
    const move = (to) => moved(this.at(to));
    const over = () => {
      layer.removeEventListener("pointermove", move);
      layer.removeEventListener("pointerup", over);
      layer.removeEventListener("pointercancel", over);
    };
    layer.addEventListener("pointermove", move);
    layer.addEventListener("pointerup", over);
    layer.addEventListener("pointercancel", over);
  }

  at(event) {
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    return { x: ((event.clientX - left) / width) * this.width, y: ((event.clientY - top) / height) * this.height };
  }

  close() {
    this.layer.remove();
    this.element.remove();
  }
}

/** The box with some of its sides moved: all four keep its size, fewer keep it at least LEAST_PX large. */
function shifted(box, sides, dx, dy, width, height) {
  if (sides.length === 4) {
    const [x1, y1, x2, y2] = box;
    const x = Math.min(Math.max(dx, -x1), width - x2);
    const y = Math.min(Math.max(dy, -y1), height - y2);
    return [x1 + x, y1 + y, x2 + x, y2 + y];
  }
  const moved = [...box];
  for (const side of sides) moved[side] += side % 2 ? dy : dx;
  return settled(moved, sides, width, height);
}

/** Inside the picture, and large enough: it is the moved sides that give way. */
function settled(box, sides, width, height) {
  const moved = box.map((side, at) => Math.min(Math.max(side, 0), at % 2 ? height : width));
  for (const axis of [0, 1]) {
    if (moved[axis + 2] - moved[axis] >= LEAST_PX) continue;
    if (sides.includes(axis)) moved[axis] = Math.max(0, moved[axis + 2] - LEAST_PX);
    moved[axis + 2] = Math.max(moved[axis + 2], moved[axis] + LEAST_PX);
  }
  return moved;
}

/** People beside each other, as scenes mostly have them. */
function guess(index, count, width, height) {
  const each = width / count;
  const [x1, x2] = [each * index + each * 0.06, each * (index + 1) - each * 0.06];
  return [x1, height * 0.2, x2, height * 0.98].map(Math.round);
}
