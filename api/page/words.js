// The texts of the page: stages, states, durations, and an explanation for each error code.

import { limits } from "./server.js";

/** The stages of a job, in their order: {name, label, activity}. */
export const STAGES = limits.stages;

/** The state of a job, a line or a batch. */
export const STATES = {
  waiting: "Waiting",
  queued: "Queued",
  running: "Running",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Canceled",
  expired: "Expired",
  invalid: "Invalid",
  validating: "Validating",
  finalizing: "Finalizing",
  partially_failed: "Partially failed",
};

/** How the branches of scene and people are coupled. */
export const MODES = {
  shared: { name: "Shared", words: "Scene and people share one picture in every step" },
  staged: { name: "Staged", words: "The scene first, then each person inside their mask" },
  literal: { name: "Literal", words: "The algorithm of the paper, step by step" },
};

/** Presets for speed and quality. */
export const PRESETS = {
  fast: { name: "Fast", words: "8 steps, for few-step checkpoints" },
  balanced: { name: "Balanced", words: "Skips computation that hardly shows" },
  best: { name: "Best", words: "Computes everything" },
};

const PROBLEMS = {
  no_face: ["No face in a portrait", "Use a photo that shows a large, uncovered face from the front."],
  phrase_not_found: [
    "A person was not found in the scene",
    "The scene was drawn, but the detector did not find anyone for one of the phrases. Show where each person stands, or try another seed.",
  ],
  same_person: [
    "Two phrases found the same person",
    "Two phrases match the same person in the scene. Show who stands where, or use “on the left” and “on the right”.",
  ],
  no_template_face: [
    "A person shows no face in the scene",
    "The person who was found looks away or is too small. Choose another region, or try another seed.",
  ],
  unsafe_content: [
    "The safety check rejected this picture",
    "The picture was not stored. The check can be wrong; another prompt or seed may pass.",
  ],
  unknown_photo: ["A portrait has expired", "Portraits are stored for a limited time. Choose it again."],
  photo_not_found: ["A portrait has expired", "Portraits are stored for a limited time. Choose it again."],
  consent_required: ["Consent is missing", "Enter a statement of consent for the portraits, then choose them again."],
  not_a_picture: ["Not a picture", "Use a PNG, JPEG or WebP file."],
  truncated_picture: ["The picture is incomplete", "The file is damaged or ends too early. Try the original file."],
  picture_too_large: ["The picture is too large", "Choose a smaller one."],
  animated_picture: ["The picture is animated", "Choose a still picture."],
  invalid_field: ["Invalid request", ""],
  no_worker_for_size: ["Too large for the workers", "No worker has enough memory for a picture of this size. Choose a smaller size."],
  size_not_allowed: ["Size not supported", "The checkpoints of this server do not support this size."],
  unauthorized: ["API key required", "This server requires a valid API key."],
  rate_limited: ["Too many requests", "Wait a moment, then try again."],
  quota_exceeded: ["Daily quota used up", "This picture needs more units than you have left today. The quota resets at midnight UTC."],
  job_not_found: ["Picture not found", "It was deleted, has expired, or belongs to another tenant."],
  batch_not_found: ["Batch not found", "It was deleted, has expired, or belongs to another tenant."],
  no_picture: ["No picture", "The job ended before it made one."],
  not_ready: ["Not ready yet", "The picture does not exist yet."],
  out_of_memory: ["Out of memory", "The GPU has too little memory for this picture. Choose a smaller size or fewer people."],
  worker_lost: ["Workers failed", "Several workers stopped while they drew this picture. Try again."],
  bundle_unusable: ["Server problem", "A checkpoint is missing or damaged. Please tell the operator of this server."],
  certificate_unusable: ["Server problem", "The server cannot sign pictures. Please tell the operator to check its certificate."],
  unavailable: ["Temporarily unavailable", "A part of the server does not respond. Try again in a moment."],
  records_unavailable: ["Temporarily unavailable", "The database does not respond. Try again in a moment."],
  blobs_unavailable: ["Temporarily unavailable", "The picture storage does not respond. Try again in a moment."],
  blobs_refused: ["Server problem", "The server may not use its picture storage. Please tell the operator of this server."],
  blob_damaged: ["Damaged file", "A stored file of this picture is damaged. Try again: it is then made again."],
  too_many_streams: ["Too many viewers", "The server cannot open another live view. This page retries by itself."],
  offline: ["The server cannot be reached", "Check your connection. Running jobs continue."],
  zip_too_large: ["Too many pictures for one file", "The manifest of the batch lists the URLs of all pictures."],
  nothing_to_retry: ["Nothing to retry", "Every line has a picture or is invalid."],
  internal: ["Server error", "The log of the server has details. Trying again may help."],
};

/** A heading and a remedy for a Problem or the error of a job. */
export function explained({ code, message, detail }) {
  const known = PROBLEMS[code];
  if (known) return { title: known[0], help: known[1], detail: detail ?? message };
  return { title: "Request failed", help: detail ?? message ?? "", detail: null };
}

/** Error codes that boxes for the people resolve. */
export const MENDED_BY_PLACES = new Set(["phrase_not_found", "same_person", "no_template_face"]);

/** A duration for people. */
export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 10) return `${Math.max(0.1, value).toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

/** The position of a queued job. */
export function placeInLine({ position, eta_s: eta }) {
  const before = position === 0 ? "Next in the queue" : position === 1 ? "One picture ahead of yours" : `${position} pictures ahead of yours`;
  return eta === null ? before : `${before} · ready in about ${seconds(eta)}`;
}

/** The time since a moment, rounded. */
export function ago(moment) {
  const passed = (Date.now() - new Date(moment).getTime()) / 1000;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(moment).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** The likeness of a face and its portrait: a text, and a level from 0 to 3. */
export function likeness(identity) {
  if (identity === null) return { level: 0, words: "No face found" };
  if (identity >= 0.55) return { level: 3, words: "Very similar" };
  if (identity >= 0.42) return { level: 2, words: "Similar" };
  if (identity >= 0.3) return { level: 1, words: "Somewhat similar" };
  return { level: 0, words: "Hardly similar" };
}

/** "one" or "3 ones". */
export function many(count, one, several = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : several}`;
}
