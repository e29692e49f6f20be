// One batch, live: counts, a grid that fills as lines end, failures with their reasons, and what can be done.

import { jobAddress } from "./address.js";
import { button, fill, make, say, write } from "./dom.js";
import { get, pause, picture, post } from "./server.js";
import { follow } from "./stream.js";
import { Thumbs } from "./thumbs.js";
import { STATES, explained, many, seconds } from "./words.js";

const A_PAGE = 100;
// News come twice a second; the lines are read less often.
const LOOK_EVERY_MS = 1500;
// More tiles than this nobody looks at; the zip and the manifest have them all.
const MOST_TILES = 400;
const ENDED = ["succeeded", "failed", "canceled", "expired", "invalid"];
const ALL = ["succeeded", "running", "queued", "waiting", "failed", "canceled", "expired", "invalid"];

/** The batch of this id. */
export class BatchView {
  constructor(id) {
    Object.assign(this, { id, batch: null, tiles: new Map(), filter: null });
    this.gone = new AbortController();
    this.thumbs = new Thumbs();
    this.title = make("h1", {}, "Batch");
    this.words = make("p", { class: "now" });
    this.doing = make("div", { class: "doable" });
    this.bar = make("div", { class: "bar", role: "img" });
    this.counts = make("div", { class: "counts", role: "group", "aria-label": "Show lines" });
    this.line = make("div", { class: "notice warning", role: "alert", hidden: true });
    this.grid = make("ul", { class: "tiles" });
    this.rest = make("p", { class: "hint" });
    this.reasons = make("section", { class: "reasons", hidden: true });
    this.element = make(
      "section",
      { class: "page batch" },
      make("header", {}, make("div", {}, this.title, this.words), this.doing),
      this.line,
      this.bar,
      this.counts,
      this.reasons,
      this.grid,
      this.rest,
    );
    this.open();
  }

  async open() {
    try {
      this.update(await get(`/v1/batches/${this.id}`, { signal: this.gone.signal }));
      if (!this.batch.done) this.watch();
    } catch (problem) {
      this.broken(problem);
    }
  }

  watch() {
    this.stream?.stop();
    this.stream = follow(`/v1/batches/${this.id}/events`, {
      event: (batch) => {
        this.update(batch);
        return batch.done;
      },
      lost: (again) => {
        this.line.hidden = false;
        fill(this.line, make("span", {}, `The connection is lost. The batch continues; reconnecting in ${again} s.`), button("Try now", () => this.stream.now(), { class: "link" }));
      },
      back: () => {
        this.line.hidden = true;
      },
      failed: (problem) => this.broken(problem),
    });
  }

  broken(problem) {
    if (this.gone.signal.aborted) return;
    const { title, help } = explained(problem);
    write(this.title, title);
    write(this.words, help);
    fill(this.doing, make("a", { class: "button", href: "#/batches" }, "All batches"));
  }

  update(batch) {
    const before = this.batch;
    this.batch = batch;
    this.element.dataset.status = batch.status;
    document.title = `${this.name} · Troupe`;
    write(this.title, this.name);
    write(this.words, sentence(batch));
    if (before && before.status !== batch.status) say(`${STATES[batch.status]}. ${sentence(batch)}`);
    this.drawBar();
    this.drawCounts();
    this.drawDoing();
    this.refresh();
  }

  get name() {
    return this.batch.name || `Batch ${this.id.slice(0, 8)}`;
  }

  drawBar() {
    const { counts, lines } = this.batch;
    const shown = [...ENDED, "running"].filter((status) => counts[status]);
    while (this.bar.children.length > shown.length) this.bar.lastChild.remove();
    shown.forEach((status, index) => {
      if (!this.bar.children[index]) this.bar.append(make("i"));
      const part = this.bar.children[index];
      part.className = status;
      part.style.setProperty("width", `${(counts[status] / Math.max(1, lines)) * 100}%`);
    });
    this.bar.setAttribute("aria-label", `${counts.succeeded} of ${lines} done`);
  }

  drawCounts() {
    const { counts } = this.batch;
    const shown = ALL.filter((status) => counts[status] || status === this.filter);
    const known = shown.join(",");
    if (this.counts.dataset.shown !== known) {
      this.counts.dataset.shown = known;
      fill(
        this.counts,
        ...shown.map((status) =>
          button([make("b"), ` ${STATES[status]}`], () => this.choose(status), { class: `count ${status}`, "data-status": status }),
        ),
      );
    }
    for (const item of this.counts.children) {
      write(item.firstChild, counts[item.dataset.status].toLocaleString());
      item.setAttribute("aria-pressed", String(item.dataset.status === this.filter));
    }
  }

  drawDoing() {
    const { batch } = this;
    const { counts } = batch;
    const again = batch.done && counts.failed + counts.canceled + counts.expired > 0;
    const known = [batch.done, again, counts.succeeded > 0].join(",");
    if (this.doing.dataset.known === known) return;
    this.doing.dataset.known = known;
    fill(
      this.doing,
      again && button("Retry failed lines", () => this.act("retry_failed"), { class: "main" }),
      counts.succeeded > 0 && batch.done && button("Download all", () => this.download(), {}),
      !batch.done && button("Cancel the batch", () => this.act("cancel"), { class: "quiet" }),
    );
  }

  async act(what) {
    try {
      this.update(await post(`/v1/batches/${this.id}/${what}`));
      if (!this.batch.done) this.watch();
    } catch (problem) {
      const { title, help } = explained(problem);
      this.line.hidden = false;
      fill(this.line, make("span", {}, `${title}. ${help}`));
    }
  }

  async download() {
    try {
      const url = URL.createObjectURL(await picture(`/v1/batches/${this.id}/zip`, { signal: this.gone.signal }));
      make("a", { href: url, download: `${this.name}.zip` }).click();
      setTimeout(URL.revokeObjectURL, 60_000, url);
    } catch (problem) {
      this.line.hidden = false;
      fill(this.line, make("span", {}, explained(problem).title));
    }
  }

  choose(status) {
    this.filter = this.filter === status ? null : status;
    this.drawCounts();
    this.tiles.clear();
    this.grid.replaceChildren();
    this.refresh();
  }

  /** Reads the lines again; a change during the read causes one more read. */
  async refresh() {
    this.stale = true;
    if (this.reading) return;
    this.reading = true;
    while (this.stale && !this.gone.signal.aborted) {
      this.stale = false;
      try {
        await this.read();
      } catch {
        // The next news try again; a broken connection is told by the stream.
      }
      if (!this.batch.done) await pause(LOOK_EVERY_MS);
    }
    this.reading = false;
  }

  async read() {
    const { filter } = this;
    const items = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: String(A_PAGE), ...(filter && { status: filter }), ...(cursor && { cursor }) });
      const page = await get(`/v1/batches/${this.id}/items?${query}`, { signal: this.gone.signal });
      items.push(...page.items);
      cursor = page.next;
    } while (cursor && items.length < MOST_TILES);
    if (filter !== this.filter) return;
    this.drawTiles(items.slice(0, MOST_TILES));
    const hidden = (filter ? this.batch.counts[filter] : this.batch.lines) - this.tiles.size;
    write(this.rest, hidden > 0 ? `${many(hidden, "more line")}. Choose a count above to see only those.` : "");
    this.drawReasons(items);
  }

  drawTiles(items) {
    const shown = new Set(items.map(({ line }) => line));
    for (const [line, tile] of this.tiles) {
      if (shown.has(line)) continue;
      tile.remove();
      this.tiles.delete(line);
    }
    let after = this.grid.firstChild;
    for (const item of items.toSorted((a, b) => a.line - b.line)) {
      let tile = this.tiles.get(item.line);
      if (tile) {
        after = tile.nextSibling;
      } else {
        tile = make("li");
        this.tiles.set(item.line, tile);
        this.grid.insertBefore(tile, after);
      }
      const known = `${item.status} ${item.job}`;
      if (tile.dataset.known === known) continue;
      tile.dataset.known = known;
      this.drawTile(tile, item);
    }
  }

  drawTile(tile, item) {
    const name = item.custom_id ?? `Line ${item.line}`;
    tile.className = item.status;
    const reason = item.errors?.[0];
    const words = `${name}: ${STATES[item.status]}${reason ? `, ${explained(reason).title}` : ""}`;
    const inside = [make("span", { class: "thumb" }), make("span", { class: "caption" }, name)];
    const likeness = item.verification?.min_identity;
    if (likeness !== null && likeness !== undefined) inside.push(make("span", { class: "number", title: "Lowest likeness of all faces" }, likeness.toFixed(2)));
    fill(tile, item.job ? make("a", { href: jobAddress(item.job), title: words }, ...inside) : make("span", { class: "line", title: words }, ...inside));
    if (item.status === "succeeded") this.thumbs.show(inside[0], `/v1/jobs/${item.job}/previews/picture`);
    else inside[0].append(make("span", { class: "state-word" }, STATES[item.status]));
  }

  drawReasons(items) {
    const reasons = new Map();
    for (const { status, errors } of items) {
      if (!["failed", "invalid"].includes(status)) continue;
      const { code, message } = errors[0] ?? { code: "internal" };
      const { title, help } = status === "invalid" ? { title: "Invalid line:", help: message } : explained({ code, message });
      const key = `${title} ${help}`;
      reasons.set(key, { title, help, count: (reasons.get(key)?.count ?? 0) + 1 });
    }
    this.reasons.hidden = reasons.size === 0;
    fill(
      this.reasons,
      make("h2", {}, "What failed"),
      make("ul", {}, ...[...reasons.values()].map(({ title, help, count }) =>
        make("li", {}, make("b", {}, count.toLocaleString()), make("span", {}, make("strong", {}, title), ` ${help}`)),
      )),
    );
  }

  close() {
    this.gone.abort();
    this.thumbs.close();
    this.stream?.stop();
  }
}

function sentence(batch) {
  const { counts, lines } = batch;
  const ended = ENDED.reduce((sum, status) => sum + counts[status], 0);
  const parts = [batch.done ? `${STATES[batch.status]}: ${counts.succeeded.toLocaleString()} of ${many(lines, "picture")}` : `${ended.toLocaleString()} of ${many(lines, "line")} finished`];
  if (batch.pictures_per_minute) parts.push(`${batch.pictures_per_minute.toFixed(1)} pictures per minute`);
  if (batch.eta) parts.push(`ready in about ${seconds(batch.eta.seconds)}`);
  if (batch.stages_saved) parts.push(`${many(batch.stages_saved, "stage")} reused`);
  return parts.join(" · ");
}
