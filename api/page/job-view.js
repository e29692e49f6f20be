// The view of one job: its state, previews while it runs, and then the result or the error.

import { jobAddress, shared } from "./address.js";
import { Boxes } from "./boxes.js";
import { button, fill, make, say, write } from "./dom.js";
import { Frame } from "./frame.js";
import { shareDone, textOf } from "./job-text.js";
import { downloadSign, menu } from "./menu.js";
import { calledOf } from "./people.js";
import { copy, doable, likenesses, particulars } from "./result.js";
import { erase, get, picture, post } from "./server.js";
import { follow } from "./stream.js";
import { anotherSeed, withMode, withPlaces } from "./variants.js";
import { MENDED_BY_PLACES, MODES, STAGES, explained } from "./words.js";

/**
 * Shows the job with this id. `opened(job)` is called once it is loaded. `again(spec)` replaces it with a new job,
 * `beside(spec)` shows a new job next to it.
 */
export class JobView {
  constructor(id, { opened, again, beside }) {
    Object.assign(this, { id, opened, again, beside, job: null, url: null, wanted: null, mending: null });
    this.gone = new AbortController();
    this.frame = new Frame();
    this.kind = make("p", { class: "kind" });
    this.title = make("h2", { tabindex: "-1" }, "Opening…");
    this.words = make("p", { class: "now" });
    this.cancel = button("Cancel", () => this.stop(), { class: "quiet", hidden: true });
    this.steps = make("ol", { class: "steps", "aria-hidden": "true" }, ...STAGES.map(({ label }) => make("li", {}, make("i"), make("span", {}, label))));
    this.line = make("div", { class: "notice warning", role: "alert", hidden: true });
    this.foot = make("div", { class: "foot" });
    this.element = make(
      "section",
      { class: "job", "aria-label": "The picture", "data-job": id },
      make("header", {}, make("div", {}, this.kind, this.title, this.words), this.cancel),
      this.steps,
      this.line,
      this.frame.element,
      this.foot,
    );
    this.open();
  }

  async open() {
    try {
      this.job = await get(`/v1/jobs/${this.id}`);
    } catch (problem) {
      if (!this.gone.signal.aborted) this.broken(problem);
      return;
    }
    if (this.gone.signal.aborted) return;
    const { sampling } = this.job.spec;
    this.frame.size(sampling.width_px, sampling.height_px);
    this.element.style.setProperty("--ratio", String(sampling.width_px / sampling.height_px));
    write(this.kind, `${MODES[sampling.mode].name} · seed ${sampling.seed}`);
    this.opened(this.job);
    this.update(this.job);
    if (!this.job.done) this.watch();
  }

  watch() {
    this.stream = follow(`/v1/jobs/${this.id}/events?previews=true`, {
      event: (state) => {
        this.job = { ...this.job, ...state };
        this.update(this.job);
        return state.done;
      },
      lost: (again) => {
        this.line.hidden = false;
        fill(
          this.line,
          make("span", {}, `The connection is lost. Your picture continues; reconnecting in ${again} s.`),
          button("Try now", () => this.stream.now(), { class: "link" }),
        );
      },
      back: () => {
        this.line.hidden = true;
        say("Connected again.");
      },
      failed: (problem) => this.broken(problem),
    });
  }

  /** Shows a sketch of the people until there is a picture. */
  sketch(people) {
    if (this.job && !this.job.done) this.frame.sketch(people);
  }

  /** Shows a problem in place of the job. */
  broken(problem) {
    const { title, help } = explained(problem);
    write(this.title, title);
    write(this.words, help);
    this.steps.hidden = true;
    this.frame.element.hidden = true;
    const offline = problem.code === "offline" || problem.status >= 500;
    fill(this.foot, doable(offline ? button("Try again", () => location.reload(), { class: "main" }) : make("a", { class: "button main", href: "#/" }, "Start a new picture")));
    say(title);
  }

  update(job) {
    this.element.dataset.status = job.status;
    this.tell(job);
    this.progress(job);
    this.cancel.hidden = job.done;
    this.line.hidden ||= job.done;
    if (!this.mending) this.places(job);
    this.paint(job);
    if (job.done && !this.over) {
      this.over = true;
      this.end(job);
    }
  }

  tell(job) {
    const { title, words } = textOf(job);
    if (this.title.textContent !== title) say(`${title}. ${words}`);
    write(this.title, title);
    write(this.words, words);
    document.title = job.done ? `${title} · Troupe` : `${Math.round(shareDone(job) * 100)} % · Troupe`;
  }

  progress(job) {
    const at = STAGES.findIndex(({ name }) => name === job.stage);
    this.steps.hidden = job.done && job.status !== "failed";
    STAGES.forEach(({ name }, index) => {
      const item = this.steps.children[index];
      const done = job.status === "succeeded" || name in job.timings || (at >= 0 && index < at);
      const now = !job.done && index === at && job.status === "running";
      item.className = [done && "done", now && "now", job.status === "failed" && job.error?.stage === name && "failed"].filter(Boolean).join(" ");
      item.firstChild.style.setProperty("--done", done ? "100%" : now ? `${Math.round(job.progress.fraction * 100)}%` : "0%");
    });
  }

  places(job) {
    const shown = !job.done && job.status === "running" ? job.regions ?? [] : this.pinned ? job.regions ?? [] : [];
    const wanted = JSON.stringify(shown);
    if (this.placed === wanted) return;
    this.placed = wanted;
    this.frame.place(
      shown.map(({ concept, box_px: box }) => ({
        index: concept,
        name: calledOf(job.spec.concepts[concept]),
        box,
        mask: job.spec.sampling.mask,
      })),
    );
  }

  /** Fetches and shows the newest picture; skips pictures that were replaced meanwhile. */
  async paint(job) {
    const emerging = job.status === "succeeded" ? null : job.previews?.picture;
    const address = job.urls.picture ?? emerging ?? job.urls.template;
    if (!address || address === this.wanted) return;
    this.wanted = address;
    if (this.painting) return;
    this.painting = true;
    let shown = null;
    while (shown !== this.wanted && !this.gone.signal.aborted) {
      shown = this.wanted;
      try {
        const blob = await picture(shown, { signal: this.gone.signal });
        const url = URL.createObjectURL(blob);
        const last = shown === this.job.urls.picture;
        await this.frame.show(url, last ? `The picture: ${this.job.spec.prompt}` : "Preview of the picture", { emerging: shown.includes("/previews/") });
        if (this.url) setTimeout(URL.revokeObjectURL, 1000, this.url);
        this.url = url;
        if (last) this.result();
      } catch (problem) {
        if (problem.name === "AbortError") break;
        // A preview may be replaced already; the next state names another one.
        if (shown === this.job.urls.picture) this.missing(problem);
        if (shown === this.wanted) break;
      }
    }
    this.painting = false;
  }

  missing(problem) {
    fill(this.foot, make("div", { class: "notice warning" }, make("span", {}, explained(problem).title)), button("Show the picture", () => {
      this.wanted = null;
      this.paint(this.job);
    }));
  }

  end(job) {
    if (job.status === "succeeded" && !job.urls.picture) this.offerAgain(job, "Draw the full picture");
    if (job.status === "failed") this.trouble(job);
    if (job.status === "canceled" || job.status === "expired") this.offerAgain(job, "Draw it again");
  }

  offerAgain(job, words) {
    if (!job.urls.template) this.frame.element.classList.add("empty");
    fill(this.foot, doable(button(words, () => this.again(job.spec), { class: "main" }), this.linkButton()));
  }

  result() {
    const { job } = this;
    const name = `troupe-${job.id.slice(0, 8)}.png`;
    const other = Object.keys(MODES).filter((mode) => mode !== job.spec.sampling.mode);
    const regions = button("Who is where", () => this.pin(regions), { "aria-pressed": "false" });
    fill(
      this.foot,
      job.verification && likenesses(job, this.url, this.gone.signal),
      doable(
        make("a", { class: "button main", href: this.url, download: name }, downloadSign(), "Download"),
        button("Another seed", () => this.again(anotherSeed(job.spec))),
        menu("Compare a mode", other.map((mode) => [MODES[mode].name, MODES[mode].words, () => this.beside(withMode(job.spec, mode))])),
        this.linkButton(),
        job.regions?.length && regions,
        job.urls.template && button("Fix who is where", () => this.mend(job), { class: "quiet" }),
      ),
      particulars(job),
      this.eraser(),
    );
  }

  linkButton() {
    const link = button("Copy link", () => copy(shared(jobAddress(this.id)), link));
    return link;
  }

  eraser() {
    const place = button("Erase this picture", () => {
      const sure = button("Erase it permanently", async () => {
        await erase(`/v1/jobs/${this.id}`).catch((problem) => say(explained(problem).title));
        location.hash = "#/pictures";
      }, { class: "link danger" });
      place.replaceWith(sure);
      sure.focus();
    }, { class: "link faint" });
    return place;
  }

  pin(toggle) {
    this.pinned = !this.pinned;
    toggle.setAttribute("aria-pressed", String(this.pinned));
    this.places(this.job);
  }

  trouble(job) {
    const { detail } = explained(job.error);
    const mendable = MENDED_BY_PLACES.has(job.error.code) && job.urls.template;
    if (!job.urls.template) this.frame.element.classList.add("empty");
    fill(
      this.foot,
      doable(
        job.error.retryable && button("Try again", () => this.again(job.spec), { class: "main" }),
        job.error.code !== "no_face" && !job.error.retryable && button("Try another seed", () => this.again(anotherSeed(job.spec))),
        this.linkButton(),
      ),
      detail && make("p", { class: "hint" }, `Message of the server: ${detail}.`),
      particulars(job),
    );
    if (mendable) this.mend(job);
  }

  /** Shows the template with a box for each person, and continues with the boxes as edited. */
  async mend(job) {
    if (this.mending) return;
    this.mending = true;
    const back = this.url;
    try {
      const url = URL.createObjectURL(await picture(job.urls.template, { signal: this.gone.signal }));
      await this.frame.show(url, "The scene before the faces were added");
    } catch (problem) {
      this.mending = null;
      say(explained(problem).title);
      return;
    }
    const found = new Map((job.regions ?? []).map((one) => [one.concept, one.box_px]));
    const boxes = job.spec.concepts.map((concept, index) => concept.box_px ?? found.get(index) ?? null);
    const editor = new Boxes(this.frame, job.spec.concepts.map(calledOf), boxes, {
      done: (places) => {
        editor.close();
        this.again(withPlaces(job.spec, places));
      },
      left: () => {
        editor.close();
        this.mending = null;
        if (job.urls.picture) this.frame.show(back, `The picture: ${job.spec.prompt}`);
        this.title.focus();
      },
    });
    this.mending = editor;
    this.foot.prepend(editor.element);
    editor.rects[0].focus({ preventScroll: true });
  }

  async stop() {
    this.cancel.disabled = true;
    try {
      await post(`/v1/jobs/${this.id}/cancel`);
    } catch (problem) {
      say(explained(problem).title);
    }
    this.cancel.disabled = false;
  }

  close() {
    this.gone.abort();
    this.stream?.stop();
    this.mending?.close?.();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}
