"""How a picture was drawn, as text in its file, so that the file is enough to draw it again."""

from __future__ import annotations

import json

from shared.job import JobSpec
from shared.version import VERSION


def metadata_of(spec: JobSpec, bundle: str) -> str:
    """The settings as JSON, the same text for equal settings; nothing about photos, caller or queue.

    spec: with every value of the sampling filled in. bundle: name with fingerprint.
    """
    settings = {
        "version": VERSION,
        "bundle": bundle,
        "prompt": spec.prompt,
        "negative_prompt": spec.negative_prompt,
        "concepts": [one.model_dump(mode="json", exclude_none=True, exclude={"photos"}) for one in spec.concepts],
        "sampling": spec.sampling.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(settings, ensure_ascii=False)
