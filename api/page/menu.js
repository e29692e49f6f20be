// A menu of actions, and the sign for a download.

import { button, draw, make } from "./dom.js";

/** A button that opens a short list of things to do; Escape or leaving it closes it. */
export function menu(title, items) {
  const summary = make("summary", { class: "button" }, title);
  const list = make(
    "details",
    {
      class: "menu",
      on: {
        keydown: (event) => {
          if (event.key !== "Escape" || !list.open) return;
          list.open = false;
          summary.focus();
        },
        focusout: (event) => {
          if (event.relatedTarget && !list.contains(event.relatedTarget)) list.open = false;
        },
      },
    },
    summary,
  );
  list.append(
    make("div", { class: "sheet" }, ...items.map(([name, words, act]) =>
      button([make("b", {}, name), make("span", {}, words)], () => {
        list.open = false;
        act();
      }),
    )),
  );
  return list;
}

/** The sign for a download. */
export function downloadSign() {
  return draw("svg", { viewBox: "0 0 24 24", class: "sign", "aria-hidden": "true" }, draw("path", { d: "M12 4v11m-5-5 5 5 5-5M5 20h14" }));
}
