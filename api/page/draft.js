// What somebody is about to ask for: kept in this tab while it is not sent, and made into a job's spec and back.

import { person } from "./cast.js";
import { nameOf } from "./people.js";
import { Portrait } from "./portrait.js";
import { limits } from "./server.js";
import { SIZES } from "./shape.js";

const KEPT = "troupe-draft";

/** An empty draft. */
export function emptyDraft() {
  const [{ width, height }] = SIZES;
  return { scene: "", people: [], width, height, preset: limits.preset, mode: "shared", seed: "", avoid: "", tries: 1, told: false, consent: "" };
}

/** The job that the draft asks for. */
export function specOf(draft) {
  return {
    prompt: draft.scene.trim(),
    negative_prompt: draft.avoid,
    concepts: draft.people.map((one) => ({
      phrase: one.phrase.trim(),
      photos: one.portraits.map((portrait) => portrait.id),
    })),
    sampling: {
      width_px: draft.width,
      height_px: draft.height,
      preset: draft.preset,
      mode: draft.mode,
      ...(draft.seed && { seed: Number(draft.seed) }),
    },
    max_tries: draft.tries,
    embed_settings: draft.told,
  };
}

/** Makes the draft what a job asked for; `changed(person)` when a portrait looks different. */
export function takeSpec(draft, spec, changed) {
  const { sampling } = spec;
  draft.people.splice(0).forEach((one) => one.portraits.forEach((portrait) => portrait.close()));
  Object.assign(draft, {
    scene: spec.prompt,
    avoid: spec.negative_prompt,
    width: sampling.width_px,
    height: sampling.height_px,
    preset: sampling.preset ?? limits.preset,
    mode: sampling.mode,
    seed: "",
    tries: spec.max_tries,
    told: spec.embed_settings,
  });
  for (const { phrase, photos } of spec.concepts) add(draft, { phrase, photos, name: photos.map(nameOf).find(Boolean) ?? "", byHand: true }, changed);
}

/** Keeps the draft for a reload of this tab. */
export function keep(draft) {
  const people = draft.people.map(({ name, phrase, byHand, portraits }) => ({
    name,
    phrase,
    byHand,
    photos: portraits.map((portrait) => portrait.id).filter(Boolean),
  }));
  sessionStorage.setItem(KEPT, JSON.stringify({ ...draft, people: people.filter(({ photos }) => photos.length) }));
}

/** Takes up the draft that this tab kept, if one fits this server. */
export function takeKept(draft, changed) {
  let kept;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  } catch {
    kept = null;
  }
  if (!kept) return;
  const { people, ...rest } = kept;
  Object.assign(draft, rest);
  for (const one of people) add(draft, one, changed);
}

function add(draft, { photos, ...rest }, changed) {
  const one = person(rest);
  one.portraits = photos.map((id) => Portrait.at(id, () => changed(one)));
  draft.people.push(one);
}
