// Requests to the server this page came from: keys, problems, pictures.

import { askForKey, keyHeader } from "./key.js";

const TRIES = 4;

/** What went wrong with a request: `code` is the server's, or "offline" when it could not be reached. */
export class Problem extends Error {
  constructor({ code, detail, status = 0, errors = [] }) {
    super(detail);
    Object.assign(this, { code, status, errors });
  }
}

/** The answer to a request that went well; throws a Problem otherwise. Asks for a key where one is wanted. */
export async function ask(path, { method = "GET", headers = {}, body, signal } = {}) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(path.replace(/^\/v1\//, "v1/"), {
        method,
        body,
        signal,
        headers: { ...headers, ...keyHeader() },
        cache: method === "GET" ? "default" : "no-store",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ code: "offline", detail: "the server cannot be reached" });
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askForKey())) continue;
    throw await problemOf(answer);
  }
}

/** A value from the server. */
export async function get(path, options) {
  const answer = await ask(path, options);
  return answer.json();
}

/** Sends a POST and returns the response. Retries use the same idempotency key, `once`. */
export async function post(path, { json, body, type, once = newKey() } = {}) {
  const headers = { "Idempotency-Key": once };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (type) headers["Content-Type"] = type;
  for (let tried = 1; ; tried += 1) {
    try {
      const answer = await ask(path, { method: "POST", headers, body: json === undefined ? body : JSON.stringify(json) });
      return await answer.json();
    } catch (problem) {
      const passing = problem.code === "offline" || problem.status === 503 || problem.code === "idempotency_running";
      if (!passing || tried === TRIES) throw problem;
      await pause(300 * 2 ** tried);
    }
  }
}

/** Takes something away for good. */
export async function erase(path) {
  await ask(path, { method: "DELETE" });
}

/** A picture's bytes. An <img> carries no key and follows redirects to another host, so the page fetches for it. */
export async function picture(path, { signal } = {}) {
  const type = path.includes("/previews/") ? "image/jpeg" : "image/png";
  const answer = await ask(path, { headers: { Accept: type }, signal });
  return answer.blob();
}

/** A new idempotency key. Works without https as well. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Some time, in milliseconds. */
export function pause(milliseconds) {
  return new Promise((over) => {
    setTimeout(over, milliseconds);
  });
}

/** What this server allows: sizes, numbers of people and photos. */
export const limits = JSON.parse(document.querySelector("meta[name=troupe-limits]").content);

async function problemOf(answer) {
  try {
    const { code, detail, errors } = await answer.json();
    return new Problem({ code, detail, errors, status: answer.status });
  } catch {
    return new Problem({ code: "internal", detail: `the server answered ${answer.status}`, status: answer.status });
  }
}
