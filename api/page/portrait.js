// One photo of somebody: made smaller where it is large, sent, looked at, and shown with the face that was found.

import { draw, fill, make } from "./dom.js";
import { faceIn } from "./faces.js";
import { Problem, ask, limits, picture } from "./server.js";
import { explained } from "./words.js";

// The server keeps 2048 pixels a side; what a phone takes is sent as that.
const LONGEST_PX = 2048;
const SENT_AS_IT_IS_BYTES = 3_000_000;
const READ_BY_THE_SERVER = new Set(["image/png", "image/jpeg", "image/webp"]);

/**
 * A photo. state: waiting | sending | looking | ready | refused. face: [x1, y1, x2, y2] in shares of the photo, or null.
 * `changed` is called whenever it looks different.
 */
export class Portrait {
  constructor(changed) {
    Object.assign(this, { changed, id: null, state: "sending", words: "Sending…", warning: false, url: null, face: null });
    this.element = make("figure", { class: "portrait" });
    this.gone = new AbortController();
  }

  /** One from a file that somebody chose; sent once its `consent` is given. */
  static of(file, changed, consent) {
    const made = new Portrait(changed);
    made.run(async () => {
      made.show(file);
      const data = await smaller(file);
      if (data !== file) made.show(data);
      if (data.size > limits.max_photo_bytes) throw new Problem({ code: "picture_too_large" });
      if (consent.missing) made.tell("waiting", "Waiting for the statement of consent", true);
      const said = await consent.given();
      if (made.state === "waiting") made.tell("sending", "Sending…");
      const answer = await ask("/v1/photos", { method: "POST", ...bodyOf(data, said), signal: made.gone.signal });
      const { id } = await answer.json();
      made.id = id;
    });
    return made;
  }

  /** One that the server has already. */
  static at(id, changed) {
    const made = new Portrait(changed);
    made.id = id;
    made.run(async () => made.show(await picture(`/v1/photos/${id}`, { signal: made.gone.signal })));
    return made;
  }

  async run(send) {
    try {
      await send();
      this.tell("looking", "Looking for the face…");
      await this.look();
    } catch (problem) {
      if (this.gone.signal.aborted) return;
      const { title, help } = explained(problem);
      const { width } = await this.size();
      if (!width) this.hide();
      this.tell("refused", `${title}. ${help}`, true);
    }
  }

  async look() {
    // Where the look itself fails, the picture may still succeed: nobody is kept from asking for it.
    const seen = await faceIn(this.id, this.gone.signal).catch(() => ({ found: 1, box_px: null }));
    if (this.gone.signal.aborted) return;
    const { width, height } = await this.size();
    // Boxes are in pixels of the stored photo, which is at most so large.
    const scale = Math.min(1, LONGEST_PX / Math.max(width, height));
    const sides = [width * scale, height * scale];
    this.face = seen.box_px?.map((side, index) => side / sides[index % 2]) ?? null;
    if (seen.found === 0) this.tell("refused", `No face found. ${explained({ code: "no_face" }).help}`, true);
    else if (seen.found > 1) this.tell("ready", `${seen.found} faces; the framed one is used`, true);
    else this.tell("ready", this.face ? "Face found" : "");
  }

  tell(state, words, warning = false) {
    Object.assign(this, { state, words, warning });
    this.draw();
    this.changed();
  }

  show(blob) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(blob);
    this.draw();
  }

  async size() {
    const image = this.element.querySelector("img") ?? make("img");
    await image.decode().catch(() => {});
    return { width: image.naturalWidth, height: image.naturalHeight };
  }

  /** What the browser cannot show either. */
  hide() {
    URL.revokeObjectURL(this.url);
    this.url = null;
    fill(this.element, make("span", { "aria-hidden": "true" }, "?"));
  }

  draw() {
    this.element.dataset.state = this.state;
    let image = this.element.querySelector("img");
    if (this.url && image?.src !== this.url) {
      image = make("img", { src: this.url, alt: "", draggable: "false" });
      fill(this.element, image);
    }
    this.element.querySelector("svg")?.remove();
    if (!image || !this.face) return;
    const square = this.square(1);
    const { naturalWidth: width, naturalHeight: height } = image;
    const position = [[square.x, width], [square.y, height]].map(([at, all]) => `${all > square.side ? (at / (all - square.side)) * 100 : 50}%`);
    image.style.setProperty("object-position", position.join(" "));
    this.element.append(frameOf(this.face, image, square));
  }

  /** The square around the face, in pixels: this share of the largest one, but not less than the face with some air. */
  square(share) {
    const image = this.element.querySelector("img");
    const { naturalWidth: width = 1, naturalHeight: height = 1 } = image ?? {};
    const [x1, y1, x2, y2] = this.face ?? [0.5, 0.5, 0.5, 0.5];
    const largest = Math.min(width, height);
    const face = Math.max((x2 - x1) * width, (y2 - y1) * height) * 2;
    const side = this.face ? Math.min(largest, Math.max(face, largest * share)) : largest;
    const from = (centre, all) => Math.min(Math.max(centre * all - side / 2, 0), all - side);
    return { x: from((x1 + x2) / 2, width), y: from((y1 + y2) / 2, height), side, width, height };
  }

  /** Forgets the photo here; the server keeps what was sent until its time is over. */
  close() {
    this.gone.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

/** The face's frame over the square that is shown. */
function frameOf([x1, y1, x2, y2], { naturalWidth: width, naturalHeight: height }, { x, y, side }) {
  const rect = {
    x: ((x1 * width - x) / side) * 100,
    y: ((y1 * height - y) / side) * 100,
    width: (((x2 - x1) * width) / side) * 100,
    height: (((y2 - y1) * height) / side) * 100,
    rx: 4,
  };
  return draw("svg", { viewBox: "0 0 100 100", class: "face", "aria-hidden": "true" }, draw("rect", rect));
}

/** A photo as it is sent: by itself, or in a form with what is said of consent. */
function bodyOf(data, consent) {
  if (!consent) {
    const type = READ_BY_THE_SERVER.has(data.type) ? data.type : "application/octet-stream";
    return { body: data, headers: { "Content-Type": type } };
  }
  const form = new FormData();
  form.append("photo", data);
  form.append("consent", consent);
  return { body: form };
}

/** The file, or a JPEG of it that the server can read and a slow line can carry. */
async function smaller(file) {
  if (file.size <= SENT_AS_IT_IS_BYTES && READ_BY_THE_SERVER.has(file.type)) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = make("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await new Promise((done) => {
      canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.92);
    });
  } catch {
    // The server says what is wrong with it.
    return file;
  }
}
