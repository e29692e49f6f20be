// Server-sent events by fetch, because EventSource cannot send a key. A broken stream is taken up again where it broke.

import { ask } from "./server.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// The server says something every 15 s, if only that it is there.
const SILENCE_MS = 40_000;

/**
 * Follows a stream until `event` returns true (it was the last), or stop() is called.
 * event(data): every event. lost(seconds): broken, tried again so soon. back(): mended. failed(problem): for good.
 */
export function follow(path, { event, lost, back, failed }) {
  let stopped = false;
  let known = "";
  let pauses = 0;
  let broken = false;
  let controller = new AbortController();
  let wake = () => {};

  const now = () => wake();
  window.addEventListener("online", now);

  async function read() {
    controller = new AbortController();
    const headers = { Accept: "text/event-stream", ...(known && { "Last-Event-ID": known }) };
    const answer = await ask(path, { headers, signal: controller.signal });
    if (answer.status === 204) return true;
    if (broken) back();
    broken = false;
    for await (const frame of frames(answer.body, controller)) {
      pauses = 0;
      known = frame.id ?? known;
      if (frame.data && event(JSON.parse(frame.data))) return true;
    }
    return false;
  }

  async function run() {
    while (!stopped) {
      try {
        if (await read()) break;
      } catch (problem) {
        if (stopped) break;
        if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
          failed(problem);
          break;
        }
      }
      if (stopped) break;
      broken = true;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** pauses) * (0.8 + 0.4 * Math.random());
      pauses += 1;
      lost(Math.max(1, Math.round(pauseMs / 1000)));
      await new Promise((over) => {
        const timer = setTimeout(over, pauseMs);
        wake = () => {
          clearTimeout(timer);
          over();
        };
      });
    }
    window.removeEventListener("online", now);
  }

  run();
  return {
    /** Tries again at once. */
    now,
    /** Leaves the stream. */
    stop() {
      stopped = true;
      controller.abort();
      wake();
    },
  };
}

async function* frames(body, controller) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const silence = setTimeout(() => controller.abort(), SILENCE_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    yield* parts.map(frameOf);
  }
}

function frameOf(text) {
  const frame = {};
  for (const line of text.split("\n")) {
    const [, field, value] = /^(id|data): ?(.*)$/.exec(line) ?? [];
    if (field) frame[field] = value;
  }
  return frame;
}
