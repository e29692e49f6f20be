"""`python -m api.records show | adopt | forget`: whose the bucket is, for an operator to decide.

adopt: this Redis takes the bucket as it is, and blobs that none of its records name are collected again. forget: this
Redis gives the bucket up, so that another one may adopt it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from shared.blob_store import BlobStore
from shared.errors import TroupeError
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.owner import BucketOwner
from shared.telemetry.log import configure


def main(words: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="records", description=__doc__.partition("\n\n")[2])
    parser.add_argument("act", choices=("show", "adopt", "forget"))
    asked = parser.parse_args(words)
    settings = settings or Settings.read_or_exit()
    configure(settings.log_level, service="records")
    with connect(settings) as redis:
        owner = BucketOwner(redis, settings, BlobStore(settings))
        try:
            if asked.act == "adopt":
                owner.adopt()
            elif asked.act == "forget":
                owner.forget()
            found = owner.look()
        except TroupeError as error:
            print(f"records: {error.message}", file=sys.stderr)
            return 1
    print(found.words or f"bucket {settings.s3_bucket} belongs to the installation of this Redis")
    return 0


if __name__ == "__main__":
    sys.exit(main())
