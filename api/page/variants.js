// Specifications of jobs that differ from another job in one point.

/** The same job with a random seed, without boxes that belong to the old scene. */
export function anotherSeed(spec) {
  const { seed: _seed, ...sampling } = spec.sampling;
  return { ...spec, sampling, concepts: spec.concepts.map((concept) => ({ ...concept, box_px: null })) };
}

/** The same job in another mode. */
export function withMode(spec, mode) {
  return { ...spec, sampling: { ...spec.sampling, mode } };
}

/** The same job with a box for each person. */
export function withPlaces(spec, places) {
  return { ...spec, concepts: spec.concepts.map((concept, index) => ({ ...concept, box_px: places[index] })) };
}
