// What became of a job: everybody beside their portrait with the likeness, and what can be done next.

import { make, more } from "./dom.js";
import { calledOf } from "./people.js";
import { picture } from "./server.js";
import { STAGES, likeness, many, seconds } from "./words.js";

/** A row for each person: portrait, the face in the picture, how like they are. `url` is the picture's. */
export function likenesses(job, url, gone) {
  const { faces, swaps } = job.verification;
  const { width_px: width, height_px: height } = job.spec.sampling;
  const rows = job.spec.concepts.map((concept, index) => {
    const face = faces.find((one) => one.concept === index);
    const identity = face?.identity ?? null;
    const { level, words } = likeness(identity);
    const swap = swaps.find((one) => one.concept === index);
    const said = swap ? `Looks more like ${calledOf(job.spec.concepts[swap.nearer_to])}` : words;
    const meter = make("span", { class: "meter", "aria-hidden": "true" }, make("i", { style: { width: `${Math.max(2, Math.round((identity ?? 0) * 100))}%` } }));
    return make(
      "li",
      { class: `likeness p${index} level-${swap ? 0 : level}` },
      portraitOf(concept.photos[0], gone),
      face?.face_box_px ? cropOf(url, face.face_box_px, width, height) : make("span", { class: "crop none" }, "?"),
      make(
        "div",
        {},
        make("strong", {}, calledOf(concept)),
        make("span", { class: "said" }, said),
        meter,
      ),
      make("span", { class: "number", title: "Cosine similarity of the face and the portrait, from −1 to 1" }, identity === null ? "–" : identity.toFixed(2)),
    );
  });
  return make("ul", { class: "likenesses", "aria-label": "Likeness of each person" }, ...rows);
}

function portraitOf(photo, gone) {
  const image = make("img", { class: "crop", alt: "Portrait", width: "50", height: "50" });
  picture(`/v1/photos/${photo}`, { signal: gone })
    .then((blob) => {
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      image.src = URL.createObjectURL(blob);
      return image;
    })
    .catch(() => image.replaceWith(make("span", { class: "crop none", title: "The portrait was deleted" }, "·")));
  return image;
}

/** The face of the picture, with some air around it, as large as a portrait. */
function cropOf(url, [x1, y1, x2, y2], width, height) {
  const side = Math.min(Math.max(x2 - x1, y2 - y1) * 1.5, width, height);
  const left = Math.min(Math.max((x1 + x2 - side) / 2, 0), width - side);
  const top = Math.min(Math.max((y1 + y2 - side) / 2, 0), height - side);
  const style = {
    width: `${(width / side) * 100}%`,
    height: `${(height / side) * 100}%`,
    left: `${(-left / side) * 100}%`,
    top: `${(-top / side) * 100}%`,
  };
  return make("span", { class: "crop" }, make("img", { src: url, alt: "In the picture", style }));
}

/** What the picture cost and came from, for whom it interests. */
export function particulars(job) {
  const { sampling } = job.spec;
  const saved = job.reused.map((stage) => STAGES.find(({ name }) => name === stage)?.label ?? stage);
  const rows = [
    ["Seed", String(job.tries.find(({ kept }) => kept)?.seed ?? sampling.seed)],
    ["Size", `${sampling.width_px} × ${sampling.height_px}`],
    ["Steps", String(sampling.steps)],
    ["Quality", sampling.preset],
    ["Mode", sampling.mode],
    ["Work", Object.entries(job.timings).map(([stage, time]) => `${STAGES.find(({ name }) => name === stage)?.label ?? stage} ${seconds(time)}`).join(" · ")],
    job.tries.length > 1 && ["Tries", `${many(job.tries.length, "picture")} drawn, the best is kept`],
    saved.length && ["Reused", `${saved.join(", ")}: at no cost`],
    job.warnings.length && ["Notes", job.warnings.join("; ")],
    ["Job", job.id],
  ].filter(Boolean);
  return more(
    "Details",
    make("dl", { class: "particulars" }, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  );
}

/** Copies words, or shows them to be copied where the browser does not let the page. */
export async function copy(words, place) {
  try {
    await navigator.clipboard.writeText(words);
    place.textContent = "Link copied";
    setTimeout(() => (place.textContent = "Copy link"), 2500);
  } catch {
    const field = make("input", { class: "link-field", readonly: true, value: words, "aria-label": "Link" });
    place.replaceWith(field);
    field.select();
  }
}

/** A row of things to do. */
export function doable(...buttons) {
  return make("div", { class: "doable" }, ...buttons);
}

