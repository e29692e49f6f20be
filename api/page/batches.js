// The batches somebody began, the newest first.

import { batchAddress } from "./address.js";
import { button, fill, make } from "./dom.js";
import { get } from "./server.js";
import { STATES, ago, explained, many } from "./words.js";

/** The list of batches. */
export class Batches {
  constructor() {
    this.gone = new AbortController();
    this.list = make("ul", { class: "rows" });
    this.foot = make("div", { class: "foot" });
    this.element = make(
      "section",
      { class: "page narrow" },
      make("h1", {}, "Batches"),
      make(
        "p",
        { class: "hint" },
        "Submit thousands of pictures with one file: ",
        make("code", {}, "troupe batch run FILE.jsonl"),
        " with the Python client, ",
        make("code", {}, "./run troupe batch run FILE.jsonl"),
        " in a checkout of Troupe, or a ",
        make("a", { href: "docs#post-v1-batches" }, "request"),
        ".",
      ),
      this.list,
      this.foot,
    );
    document.title = "Batches · Troupe";
    this.load(null);
  }

  async load(cursor) {
    try {
      const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
      const { batches, next } = await get(`/v1/batches${query}`, { signal: this.gone.signal });
      this.list.append(...batches.map(row));
      const empty = !this.list.children.length;
      fill(this.foot, next && button("Show more", () => this.load(next)), empty && make("p", { class: "empty" }, "No batch yet."));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      const { title, help } = explained(problem);
      fill(this.foot, make("p", { class: "notice trouble" }, `${title}. ${help}`), button("Try again", () => this.load(cursor)));
    }
  }

  close() {
    this.gone.abort();
  }
}

function row(batch) {
  const { succeeded } = batch.counts;
  return make(
    "li",
    {},
    make(
      "a",
      { href: batchAddress(batch.id) },
      make("strong", {}, batch.name || `Batch ${batch.id.slice(0, 8)}`),
      make("span", { class: "faint" }, `${succeeded.toLocaleString()} of ${many(batch.lines, "picture")}`),
      make("span", { class: `state ${batch.status}` }, STATES[batch.status] ?? batch.status),
      make("span", { class: "faint" }, ago(Object.values(batch.timestamps)[0])),
    ),
  );
}
