// On what basis portraits are used: asked for where the server takes none without it, before the first one is sent.

import { make, newId, write } from "./dom.js";
import { limits } from "./server.js";

/** The field, where this server asks for it. Portraits wait until `draft.consent` holds what was said. */
export class Consent {
  constructor(draft, changed) {
    Object.assign(this, { draft, changed, waiting: [] });
    const [id, hint] = [newId("consent"), newId("consent-hint")];
    this.field = make("input", {
      id,
      autocomplete: "off",
      maxlength: String(limits.max_consent_chars),
      placeholder: "Written release of 3 November 2026",
      "aria-required": "true",
      "aria-describedby": hint,
      on: {
        change: () => this.say(),
        keydown: (event) => {
          // Said, not sent: Enter would ask for the picture.
          if (event.key !== "Enter") return;
          event.preventDefault();
          this.say();
        },
      },
    });
    this.hint = make("p", { id: hint, class: "note" });
    this.element = limits.require_consent
      ? make("div", { class: "field consent" }, make("label", { for: id }, "How did these people give their consent?"), this.field, this.hint)
      : null;
    this.update();
  }

  /** Whether something must be said first. */
  get missing() {
    return limits.require_consent && !this.draft.consent;
  }

  say() {
    this.draft.consent = this.field.value.trim();
    this.changed();
    if (this.missing) return;
    this.waiting.splice(0).forEach((go) => go(this.draft.consent));
  }

  /** What was said, once something was. */
  given() {
    if (!this.missing) return Promise.resolve(this.draft.consent);
    return new Promise((go) => {
      this.waiting.push(go);
    });
  }

  /** Shows what is said. */
  update() {
    if (document.activeElement !== this.field) this.field.value = this.draft.consent;
    write(
      this.hint,
      this.missing
        ? "This server requires it for every portrait. Portraits are uploaded once you enter it."
        : "Stored with every portrait that you add from now on.",
    );
  }
}
