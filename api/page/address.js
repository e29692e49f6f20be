// Where on this page somebody is: the part of the address behind #. A reload or a shared link opens the same.

const ID = "[0-9a-f]{32}";
const JOBS = new RegExp(`^#/jobs/(${ID})(?:,(${ID}))?$`);
const BATCH = new RegExp(`^#/batches/(${ID})$`);

/** The view that an address names. */
export function viewOf(hash) {
  const jobs = JOBS.exec(hash);
  if (jobs) return { name: "home", jobs: jobs.slice(1).filter(Boolean) };
  const batch = BATCH.exec(hash);
  if (batch) return { name: "batch", id: batch[1] };
  if (hash === "#/pictures") return { name: "pictures" };
  if (hash === "#/batches") return { name: "batches" };
  if (hash === "" || hash === "#" || hash === "#/") return { name: "home", jobs: [] };
  return { name: "nowhere" };
}

/** The address of one job, or of two beside each other. */
export function jobAddress(...ids) {
  return `#/jobs/${ids.join(",")}`;
}

/** The address of a batch. */
export function batchAddress(id) {
  return `#/batches/${id}`;
}

/** A whole address, to give to somebody. */
export function shared(hash) {
  return new URL(hash, document.baseURI).href;
}
