// The API key: asked for when the server wants one, kept for this tab, forgotten with it.

import { button, make, newId } from "./dom.js";

const KEPT = "troupe-key";
let asking = null;

/** The header that says who asks, where a key is known. */
export function keyHeader() {
  const key = sessionStorage.getItem(KEPT);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Asks for a key, once however many requests want one. True when one was given. */
export function askForKey() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

function ask() {
  const before = sessionStorage.getItem(KEPT);
  const id = newId("key");
  const words = before
    ? "Invalid API key: unknown, disabled or rotated. Try another one."
    : "This server requires an API key. It starts with troupe_ and is stored in this tab only.";
  const field = make("input", { id, type: "password", autocomplete: "off", spellcheck: "false", required: true });
  return new Promise((answer) => {
    const dialog = make(
      "dialog",
      { class: "key", "aria-labelledby": `${id}-title`, on: { close: () => over(dialog.returnValue === "given") } },
      make("h2", { id: `${id}-title` }, "Sign in"),
      make("p", { id: `${id}-words` }, words),
      make(
        "form",
        { method: "dialog", on: { submit: () => sessionStorage.setItem(KEPT, field.value.trim()) } },
        make("label", { for: id }, "API key"),
        field,
        make(
          "div",
          { class: "row end" },
          button("Not now", () => dialog.close("")),
          make("button", { class: "main", value: "given" }, "Continue"),
        ),
      ),
    );
    const over = (given) => {
      dialog.remove();
      answer(given);
    };
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}
