// The start page: the form on one side, one or two jobs on the other.

import { jobAddress } from "./address.js";
import { Cast, calledHere } from "./cast.js";
import { Consent } from "./consent.js";
import { emptyDraft, keep, specOf, takeKept, takeSpec } from "./draft.js";
import { fill, make, say } from "./dom.js";
import { Frame } from "./frame.js";
import { Scene } from "./scene.js";
import { newKey, post } from "./server.js";
import { Shape } from "./shape.js";
import { JobView } from "./job-view.js";
import { STAGES, explained } from "./words.js";

/** The start page; `show(ids)` shows jobs beside the form. */
export class Home {
  constructor() {
    this.draft = emptyDraft();
    this.views = [];
    const changed = () => this.changed();
    this.consent = new Consent(this.draft, changed);
    this.cast = new Cast(this.draft.people, this.consent, changed);
    this.scene = new Scene(this.draft, {
      changed,
      chosen: (one, phrase) => {
        Object.assign(one, { phrase, byHand: true });
        this.changed();
      },
    });
    this.shape = new Shape(this.draft, changed);
    this.draw = make("button", { class: "main large", type: "submit" }, "Draw the picture");
    this.trouble = make("p", { class: "notice trouble", role: "alert", hidden: true });
    this.form = make(
      "form",
      { class: "form", novalidate: true, on: { submit: (event) => this.submit(event) } },
      make("section", {}, make("h2", {}, "Who"), this.consent.element, this.cast.element),
      make("section", {}, make("h2", {}, "Where"), this.scene.element),
      make("section", {}, make("h2", {}, "How"), this.shape.element),
      make("div", { class: "send" }, this.trouble, this.draw),
    );
    this.sketch = new Frame();
    this.blank = make(
      "section",
      { class: "job blank", "aria-label": "The picture" },
      this.sketch.element,
      make("p", { class: "hint" }, "Your picture appears here."),
    );
    this.results = make("div", { class: "results" });
    this.element = make("div", { class: "home" }, make("h1", { class: "unseen" }, "New picture"), this.form, this.results);
    takeKept(this.draft, (one) => this.cast.portraitChanged(one));
    this.dropping();
    this.changed();
  }

  /** Shows these jobs; none: the sketch. */
  show(ids) {
    const kept = this.views.filter((view) => ids.includes(view.id));
    this.views.filter((view) => !ids.includes(view.id)).forEach((view) => view.close());
    this.views = ids.map((id) => kept.find((view) => view.id === id) ?? this.view(id));
    this.results.classList.toggle("two", ids.length === 2);
    fill(this.results, ...(ids.length ? this.views.map(({ element }) => element) : [this.blank]));
    if (!ids.length) document.title = "Troupe";
    this.update();
    // A new job is scrolled into view; on a phone it is above the form.
    const asked = this.views.find(({ id }) => id === this.own && !kept.some((view) => view.id === id));
    if (asked) {
      if (asked === this.views[0]) scrollTo(0, 0);
      else asked.element.scrollIntoView({ block: "nearest" });
      asked.title.focus({ preventScroll: true });
    }
  }

  view(id) {
    return new JobView(id, {
      opened: (job) => this.opened(job),
      again: (spec) => this.begin(spec, (made) => jobAddress(...this.ids.map((other) => (other === id ? made : other)))),
      beside: (spec) => this.begin(spec, (made) => jobAddress(id, made)),
    });
  }

  get ids() {
    return this.views.map(({ id }) => id);
  }

  /** Fills the form from a job that was not submitted here. */
  opened(job) {
    if (this.own !== job.id && this.views[0]?.id === job.id) {
      this.own = job.id;
      takeSpec(this.draft, job.spec, (one) => this.cast.portraitChanged(one));
      this.cast.cards.replaceChildren();
    }
    this.changed();
  }

  changed() {
    this.scene.assign();
    this.trouble.hidden = true;
    keep(this.draft);
    this.update();
  }

  update() {
    this.consent.update();
    this.cast.update();
    this.scene.update();
    this.shape.update();
    this.sketch.size(this.draft.width, this.draft.height);
    this.blank.style.setProperty("--ratio", String(this.draft.width / this.draft.height));
    this.sketch.sketch(this.draft.people);
    this.views.forEach((view) => view.sketch(this.draft.people));
  }

  async submit(event) {
    event.preventDefault();
    const missing = this.missing();
    if (missing) {
      this.trouble.textContent = missing.words;
      this.trouble.hidden = false;
      missing.at?.focus();
      return;
    }
    await this.begin(specOf(this.draft), (made) => jobAddress(made));
  }

  /** The first thing that is missing in the form, and its field. */
  missing() {
    const { people, scene } = this.draft;
    if (!people.length) return { words: "Add people first: one portrait for each person.", at: this.cast.door };
    const photos = people.flatMap((one, index) => one.portraits.map((portrait) => ({ one, index, portrait })));
    const waiting = photos.some(({ portrait }) => portrait.state === "waiting");
    if (waiting) return { words: "Enter the statement of consent; the portraits are then uploaded.", at: this.consent.field };
    const sending = photos.find(({ portrait }) => portrait.state === "sending");
    if (sending) return { words: "A portrait is still being uploaded." };
    const refused = photos.find(({ portrait }) => portrait.state === "refused" && !portrait.id);
    if (refused) return { words: `The portrait of ${calledHere(refused.one, refused.index)} was not uploaded. Remove it or choose another one.`, at: refused.one.card.away };
    const faceless = photos.find(({ portrait }) => portrait.state === "refused");
    if (faceless) return { words: `No face was found in the portrait of ${calledHere(faceless.one, faceless.index)}. Choose another one.`, at: faceless.one.card.away };
    if (!scene.trim()) return { words: "Describe the picture, for example “a man and a woman on the beach”.", at: this.scene.text };
    const lost = people.findIndex((one) => !one.phrase.trim());
    if (lost >= 0) return { words: `Who is ${calledHere(people[lost], lost)} in the scene? Select the words in the scene, or enter them, for example “the man”.`, at: people[lost].card.phrase };
    return null;
  }

  /** Submits a job and opens its address. A double click submits one job. */
  async begin(spec, addressOf) {
    if (this.busy) return;
    this.busy = true;
    this.draw.setAttribute("aria-disabled", "true");
    this.trouble.hidden = true;
    try {
      const job = await post("/v1/jobs", { json: { ...spec, lane: "interactive", until: STAGES.at(-1).name }, once: newKey() });
      this.own = job.id;
      location.hash = addressOf(job.id);
    } catch (problem) {
      const { title, help, detail } = explained(problem);
      this.trouble.textContent = [title, help].filter(Boolean).join(". ") + (problem.code === "invalid_field" && detail ? ` ${detail}` : "");
      this.trouble.hidden = false;
      this.trouble.scrollIntoView({ block: "nearest" });
      say(title);
    }
    this.draw.removeAttribute("aria-disabled");
    this.busy = false;
  }

  /** Accepts portraits that are dropped anywhere on the page. */
  dropping() {
    const { classList } = document.body;
    const files = (event) => event.dataTransfer?.types.includes("Files");
    this.listeners = {
      dragover: (event) => {
        if (!files(event)) return;
        event.preventDefault();
        classList.add("dropping");
      },
      dragleave: (event) => event.relatedTarget || classList.remove("dropping"),
      drop: (event) => {
        if (!files(event)) return;
        event.preventDefault();
        classList.remove("dropping");
        this.cast.add([...event.dataTransfer.files]);
      },
    };
    for (const [event, listener] of Object.entries(this.listeners)) document.addEventListener(event, listener);
  }

  close() {
    for (const [event, listener] of Object.entries(this.listeners)) document.removeEventListener(event, listener);
    this.views.forEach((view) => view.close());
    this.scene.close();
    this.cast.close();
  }
}
