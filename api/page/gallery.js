// The pictures somebody had drawn, the newest first.

import { jobAddress } from "./address.js";
import { button, fill, make } from "./dom.js";
import { calledOf } from "./people.js";
import { get } from "./server.js";
import { Thumbs } from "./thumbs.js";
import { STATES, ago, explained } from "./words.js";

const A_PAGE = 24;

/** The gallery. */
export class Gallery {
  constructor() {
    this.gone = new AbortController();
    this.grid = make("ul", { class: "gallery" });
    this.foot = make("div", { class: "foot" });
    this.element = make("section", { class: "page" }, make("h1", {}, "Pictures"), this.grid, this.foot);
    document.title = "Pictures · Troupe";
    this.thumbs = new Thumbs();
    this.load(null);
  }

  async load(cursor) {
    try {
      const query = new URLSearchParams({ limit: String(A_PAGE), ...(cursor && { cursor }) });
      const { jobs, next } = await get(`/v1/jobs?${query}`, { signal: this.gone.signal });
      // Jobs that only looked at a portrait show nothing.
      const shown = jobs.filter((job) => job.spec.until !== "identify");
      this.grid.append(...shown.map((job) => this.card(job)));
      if (next && !shown.length) {
        await this.load(next);
        return;
      }
      fill(
        this.foot,
        next && button("Show more", () => this.load(next)),
        !this.grid.children.length && make("p", { class: "empty" }, "No picture yet. ", make("a", { href: "#/" }, "Draw the first one")),
      );
    } catch (problem) {
      if (problem.name === "AbortError") return;
      const { title, help } = explained(problem);
      fill(this.foot, make("p", { class: "notice trouble" }, `${title}. ${help}`), button("Try again", () => this.load(cursor)));
    }
  }

  card(job) {
    const { width_px: width, height_px: height } = job.spec.sampling;
    const address = job.urls.picture ? `${job.urls.self}/previews/picture` : job.urls.template ? `${job.urls.self}/previews/template` : null;
    const shown = make("span", { class: `thumb ${job.status}`, style: { "aspect-ratio": `${width} / ${height}` } });
    if (address) this.thumbs.show(shown, address);
    const cast = job.spec.concepts.map(calledOf).join(", ");
    return make(
      "li",
      {},
      make(
        "a",
        { href: jobAddress(job.id) },
        shown,
        make("span", { class: "caption" }, job.spec.prompt),
        make("span", { class: "faint" }, [job.status === "succeeded" ? cast : STATES[job.status], ago(job.created_at)].join(" · ")),
      ),
    );
  }

  close() {
    this.gone.abort();
    this.thumbs.close();
  }
}
