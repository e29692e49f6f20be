// The frame of a picture: pictures replace each other with a transition, regions with names lie over them.

import { draw, make } from "./dom.js";
import { calledHere } from "./cast.js";

/** A frame of a picture's proportions. */
export class Frame {
  constructor() {
    this.pictures = make("div", { class: "layers" });
    this.regions = make("div", { class: "regions", "aria-hidden": "true" });
    this.element = make("div", { class: "frame" }, this.pictures, this.regions);
    this.size(1, 1);
  }

  /** Sets the picture's size. */
  size(width, height) {
    Object.assign(this, { width, height });
    this.element.style.setProperty("aspect-ratio", `${width} / ${height}`);
  }

  /** Shows a picture in place of the one before, once it is there to be seen. `alt` says what it is. */
  async show(url, alt, { emerging = false } = {}) {
    const image = make("img", { src: url, alt, class: emerging ? "emerging" : "" });
    await image.decode().catch(() => {});
    for (const before of this.pictures.children) before.classList.add("leaving");
    const old = [...this.pictures.children];
    this.pictures.append(image);
    setTimeout(() => old.forEach((one) => one.remove()), 700);
  }

  /** Lays regions over the picture: {index, name, box: [x1, y1, x2, y2] in pixels, mask}. */
  place(regions) {
    this.regions.replaceChildren(
      ...regions.map(({ index, name, box: [x1, y1, x2, y2], mask }) => {
        const share = (pixels, whole) => `${((pixels / whole) * 100).toFixed(3)}%`;
        const style = {
          left: share(x1, this.width),
          top: share(y1, this.height),
          width: share(x2 - x1, this.width),
          height: share(y2 - y1, this.height),
        };
        return make("div", { class: `region p${index} ${mask}`, style }, make("span", {}, name));
      }),
    );
  }

  /** Shows who will be in the picture, as long as there is none. */
  sketch(people) {
    if (this.pictures.querySelector("img")) return;
    this.pictures.replaceChildren(sketchOf(people, this.width / this.height));
  }
}

/** Figures in everybody's colour, with their portraits for heads. */
function sketchOf(people, ratio) {
  const [wide, high] = [100 * ratio, 100];
  const count = Math.max(people.length, 2);
  const each = wide / (count + 0.6);
  const head = Math.min(each * 0.36, 17);
  const figures = Array.from({ length: count }, (_one, index) => {
    const one = people[index];
    const [x, y] = [each * (index + 0.8), 47 - (index % 2) * 3];
    const body = `M${x - head * 1.5} ${high} c0 ${-head * 1.7} ${head * 0.5} ${-head * 2} ${head * 1.5} ${-head * 2} s${head * 1.5} ${head * 0.3} ${head * 1.5} ${head * 2} z`;
    const top = high - head * 2 - y - head * 0.7;
    const figure = draw("g", { class: one ? `p${index}` : "nobody" }, draw("path", { d: body, transform: `translate(0 ${-top})` }));
    figure.append(draw("rect", { x: x - head * 1.5, y: high - top - 0.5, width: head * 3, height: top + 1 }));
    figure.append(draw("circle", { cx: x, cy: y, r: head }));
    const portrait = one?.portraits[0];
    if (portrait?.url) {
      const { x: left, y: above, side, width, height } = portrait.square(0);
      const clip = `head-${index}`;
      const place = { x: x - head, y: y - head, width: head * 2, height: head * 2 };
      figure.append(
        draw("clipPath", { id: clip }, draw("circle", { cx: x, cy: y, r: head - 1.2 })),
        draw(
          "g",
          { "clip-path": `url(#${clip})` },
          draw("svg", { ...place, viewBox: `${left} ${above} ${side} ${side}` }, draw("image", { href: portrait.url, width, height })),
        ),
      );
    }
    return figure;
  });
  const names = people.map(calledHere).join(", ");
  const label = people.length ? `A sketch: ${names}` : "An empty picture";
  return draw("svg", { class: "sketch", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label }, ...figures);
}
