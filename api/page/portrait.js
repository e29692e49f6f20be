// One photo of somebody: made smaller where it is large, sent, looked at, and shown with the face that was found.

import { draw, fill, make } from "./dom.js";
import { faceIn } from "./faces.js";
import { limits, picture, ask } from "./server.js";
import { explained } from "./words.js";

// The server keeps 2048 pixels a side; what a phone takes is sent as that.
const LONGEST_PX = 2048;
const SENT_AS_IT_IS_BYTES = 3_000_000;
const READ_BY_THE_SERVER = new Set(["image/png", "image/jpeg", "image/webp"]);

/**
 * A photo. state: sending | looking | ready | refused. face: [x1, y1, x2, y2] in shares of the photo, or null.
 * `changed` is called whenever it looks different.
 */
export class Portrait {
  constructor(changed) {
    Object.assign(this, { changed, id: null, state: "sending", words: "Sending…", warning: false, url: null, face: null });
    this.element = make("figure", { class: "portrait" });
    this.gone = new AbortController();
  }

  /** One from a file that somebody chose. */
  static of(file, changed) {
    const made = new Portrait(changed);
    made.run(async () => {
      made.show(file);
      const data = await smaller(file);
      if (data !== file) made.show(data);
      if (data.size > limits.max_photo_bytes) throw { code: "picture_too_large" };
      const type = READ_BY_THE_SERVER.has(data.type) ? data.type : "application/octet-stream";
      const answer = await ask("/v1/photos", {
        method: "POST",
        body: data,
        headers: { "Content-Type": type },
        signal: made.gone.signal,
      });
      made.id = (await answer.json()).id;
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
    else if (seen.found > 1) this.tell("ready", `${seen.found} faces; the framed one is taken`, true);
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
    const image = this.element.querySelector("img");
    await image.decode().catch(() => {});
    return { width: image.naturalWidth || 1, height: image.naturalHeight || 1 };
  }

  draw() {
    this.element.dataset.state = this.state;
    let image = this.element.querySelector("img");
    if (this.url && image?.src !== this.url) {
      image = make("img", { src: this.url, alt: "", draggable: "false" });
      fill(this.element, image);
    }
    this.element.querySelector("svg")?.remove();
    if (image && this.face) this.element.append(frameOf(this.face, image));
  }

  /** Forgets the photo here; the server keeps what was sent until its time is over. */
  close() {
    this.gone.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

/** The face's frame over a photo that fills a square (object-fit: cover). */
function frameOf([x1, y1, x2, y2], { naturalWidth: width, naturalHeight: height }) {
  const side = Math.min(width, height);
  const x = (share) => ((share * width - (width - side) / 2) / side) * 100;
  const y = (share) => ((share * height - (height - side) / 2) / side) * 100;
  const rect = { x: x(x1), y: y(y1), width: x(x2) - x(x1), height: y(y2) - y(y1), rx: 4 };
  return draw("svg", { viewBox: "0 0 100 100", class: "face", "aria-hidden": "true" }, draw("rect", rect));
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
    return await new Promise((done) => canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.92));
  } catch {
    // The server says what is wrong with it.
    return file;
  }
}
