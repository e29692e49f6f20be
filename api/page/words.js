// What the page says: stages, states, times, and problems in plain words by their code.

import { limits } from "./server.js";

/** The stages of a job, in their order: {name, label, activity}. */
export const STAGES = limits.stages;

/** What became of a job or a line, in one word. */
export const STATES = {
  waiting: "Waiting",
  queued: "In line",
  running: "Working",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Canceled",
  expired: "Expired",
  invalid: "Not valid",
  validating: "Reading lines",
  finalizing: "Finishing",
  partially_failed: "Partly done",
};

/** Ways to couple people and scene. */
export const MODES = {
  shared: { name: "Shared", words: "Everybody is drawn into one picture together" },
  staged: { name: "Staged", words: "The scene first, then people inside their places" },
  literal: { name: "Literal", words: "The paper's own way, step by step" },
};

/** Presets, as somebody chooses them. */
export const PRESETS = {
  fast: { name: "Fast", words: "8 steps; for few-step checkpoints" },
  balanced: { name: "Balanced", words: "Saves what nobody sees" },
  best: { name: "Best", words: "Computes everything" },
};

const PROBLEMS = {
  no_face: ["No face in a portrait", "Take a photo that shows the face from the front, large and not covered."],
  phrase_not_found: [
    "Somebody was not found in the scene",
    "The scene was drawn, but nobody in it answers to one of the phrases. Show where each person stands, or try another seed.",
  ],
  same_person: [
    "Two people found the same place",
    "Two phrases mean the same figure in the scene. Show who stands where, or say “on the left” and “on the right”.",
  ],
  no_template_face: [
    "Somebody shows no face in the scene",
    "The figure that was found looks away or is too small. Show another place, or try another seed.",
  ],
  unsafe_content: [
    "This picture is not given out",
    "The server checks what it draws, and its check forbids this picture. It can be wrong; other words or another seed may pass.",
  ],
  unknown_photo: ["A portrait is gone", "The server keeps portraits for a while only. Choose it again."],
  photo_not_found: ["A portrait is gone", "The server keeps portraits for a while only. Choose it again."],
  consent_required: ["Consent is missing", "Say on what basis the portraits are used, then choose them again."],
  not_a_picture: ["This is no picture", "PNG, JPEG and WebP can be read."],
  truncated_picture: ["The picture is not whole", "The file is damaged or ends too early. Try the original once more."],
  picture_too_large: ["The picture is too large", "Choose a smaller one."],
  animated_picture: ["The picture moves", "Choose one still picture."],
  invalid_field: ["This cannot be drawn as it is", ""],
  no_worker_for_size: ["Too large for the machines", "No machine here has room for a picture of this size. Choose a smaller one."],
  size_not_allowed: ["Not in this size", "The checkpoints of this server do not draw pictures of this size."],
  unauthorized: ["A key is needed", "This server serves people who have a key."],
  rate_limited: ["A little slower, please", "You have asked more often than you may for now. Wait a moment, then try again."],
  quota_exceeded: ["Enough for today", "What is left of your quota does not do for this picture. It is full again at midnight UTC."],
  job_not_found: ["There is no such picture", "It was erased, its time was over, or it belongs to somebody else."],
  batch_not_found: ["There is no such batch", "It was erased, its time was over, or it belongs to somebody else."],
  no_picture: ["There is no picture", "The job ended before it made one."],
  not_ready: ["Not there yet", "The picture does not exist yet."],
  out_of_memory: ["Too large for the machine", "The device has no room for this picture. Choose a smaller size or fewer people."],
  worker_lost: ["The machines gave up", "The workers died several times while they drew this. Try again."],
  bundle_unusable: ["The server is not well", "A checkpoint is missing or damaged. Whoever runs this server must look at it."],
  certificate_unusable: ["The server is not well", "It cannot sign pictures. Whoever runs this server must look at its certificate."],
  unavailable: ["Not just now", "A part of the server does not answer. Try again in a moment."],
  records_unavailable: ["Not just now", "A part of the server does not answer. Try again in a moment."],
  blobs_unavailable: ["Not just now", "The store of pictures does not answer. Try again in a moment."],
  blobs_refused: ["The server is not well", "It may not use its store of pictures. Whoever runs this server must look at it."],
  blob_damaged: ["Something was lost", "A file that belongs to this picture is damaged. Try again: it is made anew."],
  too_many_streams: ["Many are watching", "The server shows as many pictures live as it can. This page tries again by itself."],
  offline: ["The server cannot be reached", "Check your connection. Nothing is lost: pictures that were begun go on."],
  zip_too_large: ["Too many for one file", "The manifest of the batch has the addresses of all pictures."],
  nothing_to_retry: ["Nothing to try again", "Every line has its picture, or is not valid."],
  internal: ["Something broke on our side", "The details are in the server's log. Trying again may help."],
};

/** A problem as two sentences: a heading, and what helps. Takes a Problem, or the error of a job. */
export function explained({ code, message, detail }) {
  const known = PROBLEMS[code];
  if (known) return { title: known[0], help: known[1], detail: detail ?? message };
  return { title: "That did not work", help: detail ?? message ?? "", detail: null };
}

/** Codes that showing everybody's place mends. */
export const MENDED_BY_PLACES = new Set(["phrase_not_found", "same_person", "no_template_face"]);

/** Seconds as people say them. */
export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 10) return `${Math.max(0.1, value).toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

/** Where a queued job stands, in words. */
export function placeInLine({ position, eta_s: eta }) {
  const before = position === 0 ? "Next in line" : position === 1 ? "One picture before yours" : `${position} pictures before yours`;
  return eta === null ? before : `${before} · ready in about ${seconds(eta)}`;
}

/** How long ago, roughly. */
export function ago(moment) {
  const passed = (Date.now() - new Date(moment).getTime()) / 1000;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(moment).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** How like their portrait somebody came out: the words, and a level from 0 to 3. */
export function likeness(identity) {
  if (identity === null) return { level: 0, words: "No face seen" };
  if (identity >= 0.55) return { level: 3, words: "Very alike" };
  if (identity >= 0.42) return { level: 2, words: "Alike" };
  if (identity >= 0.3) return { level: 1, words: "A little alike" };
  return { level: 0, words: "Hardly alike" };
}

/** "one" or "3 ones". */
export function many(count, one, several = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : several}`;
}
