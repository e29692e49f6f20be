// The way in: shows the view that the address names, and moves the focus there.

import { viewOf } from "./address.js";
import { BatchView } from "./batch.js";
import { Batches } from "./batches.js";
import { make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Home } from "./home.js";

const main = document.getElementById("main");
let view = null;
let shown = null;

function nowhere() {
  const element = make(
    "section",
    { class: "page narrow" },
    make("h1", {}, "Page not found"),
    make("p", {}, "This address does not exist. ", make("a", { href: "#/" }, "Start a new picture"), "."),
  );
  return { element, close() {} };
}

function open(wanted) {
  switch (wanted.name) {
    case "home":
      return new Home();
    case "pictures":
      return new Gallery();
    case "batches":
      return new Batches();
    case "batch":
      return new BatchView(wanted.id);
    default:
      return nowhere();
  }
}

function go() {
  const wanted = viewOf(location.hash);
  const same = shown?.name === wanted.name && shown.id === wanted.id;
  if (!same) {
    view?.close();
    view = open(wanted);
    main.replaceChildren(view.element);
    if (shown) main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  if (wanted.name === "home") view.show(wanted.jobs);
  shown = wanted;
  const tab = { home: "#/", pictures: "#/pictures", batches: "#/batches", batch: "#/batches" }[wanted.name];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

window.addEventListener("hashchange", go);
go();
