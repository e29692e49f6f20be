// Small pictures in a list of many: each is fetched when it comes near to being seen, and once.

import { picture } from "./server.js";
import { make } from "./dom.js";

/** Fills places with pictures until it is closed. */
export class Thumbs {
  constructor() {
    this.gone = new AbortController();
    this.addresses = new WeakMap();
    this.seen = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          this.seen.unobserve(target);
          this.fetch(target);
        }
      },
      { rootMargin: "200px" },
    );
  }

  /** Shows the picture of this address in the place, in time. */
  show(place, address) {
    this.addresses.set(place, address);
    this.seen.observe(place);
  }

  async fetch(place) {
    try {
      const url = URL.createObjectURL(await picture(this.addresses.get(place), { signal: this.gone.signal }));
      place.append(make("img", { src: url, alt: "", on: { load: () => URL.revokeObjectURL(url) } }));
    } catch {
      // A picture that is gone leaves its place empty.
    }
  }

  close() {
    this.gone.abort();
    this.seen.disconnect();
  }
}
