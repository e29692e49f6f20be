// Which face a photo shows: a job that ends after looking at it, so that nobody waits for a picture to learn it.

import { follow } from "./stream.js";
import { post } from "./server.js";

const known = new Map();

/** How many faces the photo shows, and the box of the one that is taken: {found, box_px}. Asked once for each photo. */
export function faceIn(photo, signal) {
  if (!known.has(photo)) {
    const looking = look(photo, signal);
    known.set(photo, looking);
    looking.catch(() => known.delete(photo));
  }
  return known.get(photo);
}

async function look(photo, signal) {
  const json = { prompt: "a portrait", concepts: [{ phrase: "the person", photos: [photo] }], until: "identify" };
  const job = await post("/v1/jobs", { json });
  const over = await new Promise((done, failed) => {
    const stream = follow(`${job.urls.self}/events`, {
      event: (state) => state.done && (done(state), true),
      lost: () => {},
      back: () => {},
      failed,
    });
    signal.addEventListener("abort", () => {
      stream.stop();
      failed(new DOMException("left", "AbortError"));
    });
  });
  if (over.error && over.error.code !== "no_face") throw over.error;
  return over.faces?.[0]?.[0] ?? { found: over.error ? 0 : 1, box_px: null };
}
