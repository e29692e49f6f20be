// The cast: everybody who is to be in the picture, a card each, with portraits, a name and the phrase in the scene.

import { button, draw, fill, make, newId, say, write } from "./dom.js";
import { nameOf, remember } from "./people.js";
import { Portrait } from "./portrait.js";
import { limits, newKey } from "./server.js";

const READ = "image/*,.heic,.heif";

/** Somebody of the cast. byHand: whether the phrase was written by a person, and must not be changed by the page. */
export function person({ name = "", phrase = "", byHand = false } = {}) {
  return { key: newKey(), name, phrase, byHand, portraits: [], card: null };
}

/** What the page calls somebody while the picture is planned. */
export function calledHere(one, index) {
  return one.name || `Person ${index + 1}`;
}

/** The cards of `people`, an array that it changes; `changed` is called after every change. */
export class Cast {
  constructor(people, consent, changed) {
    Object.assign(this, { people, consent, changed });
    this.cards = make("ul", { class: "cards" });
    this.file = make("input", { type: "file", accept: READ, multiple: true, hidden: true });
    this.file.addEventListener("change", () => {
      this.add([...this.file.files]);
      this.file.value = "";
    });
    this.door = button(
      [plus(), make("span", { class: "door-words" })],
      () => this.file.click(),
      { class: "door" },
    );
    this.element = make("div", { class: "cast" }, this.cards, this.door, this.file);
    this.update();
  }

  /** Takes files: a person each. */
  add(files) {
    const room = limits.max_concepts - this.people.length;
    for (const file of files.slice(0, room)) {
      const one = person();
      this.people.push(one);
      one.portraits.push(Portrait.of(file, () => this.portraitChanged(one), this.consent));
    }
    if (files.length > room) say(`A picture has room for ${limits.max_concepts} people.`);
    this.update();
    this.changed();
  }

  portraitChanged(one) {
    const name = one.portraits.map((portrait) => portrait.id && nameOf(portrait.id)).find(Boolean);
    if (name && !one.name) one.name = name;
    else this.named(one);
    if (one.card) one.card.update();
    this.changed();
  }

  named(one) {
    if (one.name) remember(one.portraits.map((portrait) => portrait.id).filter(Boolean), one.name);
  }

  remove(one) {
    const index = this.people.indexOf(one);
    this.people.splice(index, 1);
    one.portraits.forEach((portrait) => portrait.close());
    one.card.element.remove();
    this.update();
    this.changed();
    say(`${calledHere(one, index)} was removed.`);
    (this.people[Math.min(index, this.people.length - 1)]?.card.name ?? this.door).focus();
  }

  /** Shows the cast as it is. */
  update() {
    this.people.forEach((one, index) => {
      one.card ??= new Card(one, this);
      if (this.cards.children[index] !== one.card.element) this.cards.append(one.card.element);
      one.card.update(index);
    });
    const full = this.people.length >= limits.max_concepts;
    this.door.hidden = full;
    const empty = this.people.length === 0;
    this.door.classList.toggle("wide", empty);
    const words = this.door.querySelector(".door-words");
    words.replaceChildren(
      make("strong", {}, empty ? "Add two portraits" : "Add a person"),
      make("span", {}, empty ? "Drop files here or choose them: one person each, with a clearly visible face." : "Drop a portrait, or choose one"),
    );
  }

  close() {
    this.people.forEach((one) => one.portraits.forEach((portrait) => portrait.close()));
  }
}

class Card {
  constructor(one, cast) {
    Object.assign(this, { one, cast, index: 0 });
    const [name, phrase, note] = [newId("name"), newId("phrase"), newId("note")];
    this.photos = make("div", { class: "photos" });
    this.name = make("input", {
      id: name,
      class: "name",
      placeholder: "Name",
      autocomplete: "off",
      maxlength: "40",
      on: {
        input: () => {
          one.name = this.name.value.trim();
          cast.named(one);
          cast.changed();
        },
      },
    });
    this.phrase = make("input", {
      id: phrase,
      class: "phrase",
      placeholder: "the man, the woman on the left…",
      autocomplete: "off",
      maxlength: "100",
      "aria-describedby": note,
      on: {
        input: () => {
          one.phrase = this.phrase.value;
          one.byHand = this.phrase.value.trim() !== "";
          cast.changed();
        },
      },
    });
    this.note = make("p", { id: note, class: "note", "aria-live": "polite" });
    this.file = make("input", { type: "file", accept: READ, multiple: true, hidden: true });
    this.file.addEventListener("change", () => {
      this.add([...this.file.files]);
      this.file.value = "";
    });
    this.another = button("Another photo", () => this.file.click(), { class: "link another" });
    this.away = button(cross(), () => cast.remove(one), { class: "away" });
    this.element = make(
      "li",
      {
        class: "card",
        on: {
          dragover: (event) => event.preventDefault(),
          drop: (event) => {
            event.preventDefault();
            event.stopPropagation();
            document.body.classList.remove("dropping");
            this.add([...event.dataTransfer.files]);
          },
        },
      },
      this.photos,
      make(
        "div",
        { class: "who" },
        make("label", { class: "unseen", for: name }, "Name"),
        this.name,
        make("div", { class: "role" }, make("label", { for: phrase }, "in the scene"), this.phrase),
        make("div", { class: "below" }, this.note, this.another),
      ),
      this.away,
      this.file,
    );
  }

  add(files) {
    const room = limits.max_photos - this.one.portraits.length;
    for (const file of files.slice(0, room)) {
      this.one.portraits.push(Portrait.of(file, () => this.cast.portraitChanged(this.one), this.cast.consent));
    }
    this.update();
    this.cast.changed();
  }

  update(index = this.index) {
    this.index = index;
    const { one } = this;
    const called = calledHere(one, index);
    this.element.className = `card p${index}`;
    if (document.activeElement !== this.name) this.name.value = one.name;
    if (document.activeElement !== this.phrase) this.phrase.value = one.phrase;
    this.phrase.setAttribute("aria-label", `${called} in the scene`);
    this.away.setAttribute("aria-label", `Remove ${called}`);
    this.another.setAttribute("aria-label", `Another photo of ${called}`);
    this.another.hidden = one.portraits.length >= limits.max_photos;
    const [first, ...others] = one.portraits;
    const row = others.length && make("div", { class: "others" }, ...others.map((portrait) => portrait.element));
    fill(this.photos, first.element, row);
    const worst = one.portraits.find(({ state }) => state === "refused") ?? one.portraits.find(({ warning }) => warning) ?? first;
    write(this.note, worst.words);
    this.note.classList.toggle("refused", worst.state === "refused");
    this.note.classList.toggle("warning", worst.warning && worst.state !== "refused");
    this.note.classList.toggle("good", worst.state === "ready" && !worst.warning);
  }
}

function plus() {
  return draw("svg", { viewBox: "0 0 24 24", class: "sign", "aria-hidden": "true" }, draw("path", { d: "M12 5v14M5 12h14" }));
}

function cross() {
  return draw("svg", { viewBox: "0 0 24 24", class: "sign", "aria-hidden": "true" }, draw("path", { d: "M6 6l12 12M18 6L6 18" }));
}
