// Names that somebody gave, kept in this browser by the photo they belong to. The server is never told them.

const KEPT = "troupe-names";
const MOST = 200;

/** The name somebody gave to whom this photo shows, or "". */
export function nameOf(photo) {
  return read().get(photo) ?? "";
}

/** Remembers a name for photos; the oldest names are forgotten in time. */
export function remember(photos, name) {
  const names = read();
  for (const photo of photos) {
    names.delete(photo);
    if (name) names.set(photo, name);
  }
  localStorage.setItem(KEPT, JSON.stringify([...names].slice(-MOST)));
}

/** What the page calls somebody of a job: the name, else the phrase. */
export function calledOf(concept) {
  return concept.photos.map(nameOf).find(Boolean) || concept.phrase;
}

function read() {
  try {
    return new Map(JSON.parse(localStorage.getItem(KEPT) ?? "[]"));
  } catch {
    return new Map();
  }
}
