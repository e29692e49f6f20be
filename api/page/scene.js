// The scene: its words, in which everybody's phrase has their colour, and a way to say who is meant by pointing at words.

import { button, make, newId, say } from "./dom.js";
import { calledHere } from "./cast.js";
import { mentioned, phraseOf, places } from "./phrases.js";
import { limits } from "./server.js";

const EXAMPLES = ["a man and a woman on the beach", "a woman and a man in a cafe", "a man, a woman and a boy in the park"];

/** The scene of a draft. `chosen(person, phrase)`: somebody pointed at words. `changed`: the words are others. */
export class Scene {
  constructor(draft, { chosen, changed }) {
    Object.assign(this, { draft, chosen });
    const [id, hint] = [newId("scene"), newId("hint")];
    this.marks = make("div", { class: "marks", "aria-hidden": "true" });
    this.text = make("textarea", {
      id,
      rows: "3",
      maxlength: String(limits.max_prompt_chars),
      placeholder: "a man and a woman on the beach",
      "aria-describedby": hint,
      on: {
        input: () => {
          draft.scene = this.text.value;
          changed();
        },
        scroll: () => {
          this.marks.scrollTop = this.text.scrollTop;
        },
      },
    });
    this.pointer = make("div", { class: "pointer", hidden: true });
    this.hint = make("p", { id: hint, class: "hint" });
    this.element = make(
      "div",
      { class: "scene" },
      make("label", { class: "unseen", for: id }, "Scene"),
      make("div", { class: "paper" }, this.marks, this.text),
      this.pointer,
      this.hint,
    );
    this.selected = () => {
      if (document.activeElement === this.text) this.point();
    };
    document.addEventListener("selectionchange", this.selected);
  }

  /** Gives everybody without words of their own the next person whom the scene mentions. */
  assign() {
    const { people, scene } = this.draft;
    const byHand = people.filter((one) => one.byHand);
    const taken = places(scene, byHand.map((one) => one.phrase));
    const free = mentioned(scene).filter(({ start, end }) => taken.every((place) => !place || end <= place[0] || place[1] <= start));
    for (const one of people.filter((other) => !other.byHand)) one.phrase = free.shift()?.phrase ?? "";
  }

  /** Shows the scene as it is. */
  update() {
    const { people, scene } = this.draft;
    if (this.text.value !== scene) this.text.value = scene;
    const found = places(scene, people.map((one) => one.phrase));
    const spans = found
      .map((place, index) => place && { start: place[0], end: place[1], index })
      .filter(Boolean)
      .toSorted((a, b) => a.start - b.start);
    const parts = [];
    let at = 0;
    for (const { start, end, index } of spans) {
      parts.push(scene.slice(at, start), make("mark", { class: `p${index}` }, scene.slice(start, end)));
      at = end;
    }
    // A last line that is empty has no height of its own.
    this.marks.replaceChildren(...parts, `${scene.slice(at)}\n`);
    this.hint.replaceChildren(...this.hints(found));
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
    this.point();
  }

  hints(found) {
    const { people, scene } = this.draft;
    if (!scene.trim()) {
      return [
        "For example: ",
        ...EXAMPLES.slice(0, 2).flatMap((words, index) => [
          index ? " · " : "",
          button(words, () => this.write(words), { class: "link" }),
        ]),
      ];
    }
    const lost = people.findIndex((one) => !one.phrase.trim());
    if (lost >= 0) return [`Select the words that describe ${calledHere(people[lost], lost)}.`];
    const elsewhere = people.findIndex((_one, index) => !found[index]);
    if (elsewhere >= 0) return [`“${people[elsewhere].phrase}” is not part of the scene. The detector looks for it anyway.`];
    return people.length ? ["To assign other words, select them and then the person."] : ["Now add the people."];
  }

  write(words) {
    this.text.value = words;
    this.text.dispatchEvent(new Event("input"));
    this.text.focus();
  }

  point() {
    const { selectionStart: start, selectionEnd: end } = this.text;
    const phrase = phraseOf(this.draft.scene.slice(start, end)).slice(0, 100);
    const { people } = this.draft;
    this.pointer.hidden = !phrase || !people.length || document.activeElement !== this.text;
    if (this.pointer.hidden) return;
    this.pointer.replaceChildren(
      make("span", {}, "“", make("b", {}, phrase), "” is"),
      ...people.map((one, index) =>
        button(calledHere(one, index), () => this.take(one, index, phrase), {
          class: `chip p${index}`,
          // The selection must still be there when the click arrives.
        }),
      ),
    );
    for (const chip of this.pointer.querySelectorAll("button")) {
      chip.addEventListener("pointerdown", (event) => event.preventDefault());
    }
  }

  take(one, index, phrase) {
    this.chosen(one, phrase);
    this.text.setSelectionRange(this.text.selectionEnd, this.text.selectionEnd);
    this.text.focus();
    say(`${calledHere(one, index)} is “${phrase}”.`);
  }

  close() {
    document.removeEventListener("selectionchange", this.selected);
  }
}
