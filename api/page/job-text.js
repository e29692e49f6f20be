// What a job's view says about its state.

import { STAGES, explained, placeInLine, seconds } from "./words.js";

/** A heading and a sentence for the state of a job. */
export function textOf(job) {
  const took = Object.values(job.timings).reduce((sum, time) => sum + time, 0);
  const scene = job.reused.includes("render") ? "The scene was reused at no cost" : "";
  switch (job.status) {
    case "queued":
      return { title: job.started_at ? "Waiting for a worker" : "Queued", words: job.queue ? placeInLine(job.queue) : "" };
    case "running": {
      const { step, steps } = job.progress;
      const stage = STAGES.find(({ name }) => name === job.stage);
      return { title: stage?.activity ?? "Running", words: steps > 1 ? `Step ${step} of ${steps}` : scene };
    }
    case "succeeded":
      return { title: job.urls.picture ? "Done" : "Checked", words: [`Drawn in ${seconds(took)}`, scene].filter(Boolean).join(" · ") };
    case "failed":
      return { title: explained(job.error).title, words: explained(job.error).help };
    case "canceled":
      return { title: "Canceled", words: "You can draw the picture again at any time." };
    default:
      return { title: "Expired", words: "No worker was available in time." };
  }
}

/** How much of a running job is done, from 0 to 1. */
export function shareDone(job) {
  const at = STAGES.findIndex(({ name }) => name === job.stage);
  return job.status === "running" && at >= 0 ? (at + job.progress.fraction) / STAGES.length : 0;
}

