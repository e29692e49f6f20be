"""The layout of the bucket. Every key begins with the tenant, so no tenant's work finds another's blobs.

    {tenant}/photos/{photo id}.png                  a reference photo, upright, no metadata; id = sha256 of the upload
    {tenant}/photos/{photo id}.png.faces/{bundle}   what a bundle saw in it; it goes with it: the same prefix
    {tenant}/uploads/{upload id}                    a photo as it came to a signed address, until it is taken in
    {tenant}/stages/{stage}/{order digest}/{file}   what a stage made; `output.json` is written last: then it is whole
    {tenant}/batches/{batch id}/...                 lines and logs of a batch, see shared/batch_files.py
    .fleet                                          the owner of the bucket, see shared/store/owner.py
    .probe/{random}                                 what the check at the start of a process writes and deletes

No tenant's name begins with a dot.
"""

from __future__ import annotations

from shared.stages import Stage

OWNER_KEY = ".fleet"
PROBES = ".probe"


def photo_key(tenant: str, photo_id: str) -> str:
    """Key of a tenant's reference photo."""
    return f"{tenant}/photos/{photo_id}.png"


def photos_folder(tenant: str) -> str:
    """What the keys of all reference photos of a tenant begin with."""
    return f"{tenant}/photos/"


def upload_key(tenant: str, upload_id: str) -> str:
    """Key of what was uploaded to a signed address."""
    return f"{tenant}/uploads/{upload_id}"


def stage_folder(tenant: str, stage: str, digest: str) -> str:
    """What the keys of all files of one order of a tenant begin with."""
    return f"{tenant}/stages/{stage}/{digest}/"


def faces_key(tenant: str, photo_id: str, bundle: str) -> str:
    """Key of what a bundle saw in a reference photo. bundle: its name with the fingerprint, which alone is used."""
    return f"{photo_key(tenant, photo_id)}.faces/{bundle.rpartition('@')[2]}"


def stage_key(tenant: str, stage: Stage, digest: str, file: str) -> str:
    """Key of one file that a stage made for a tenant's order with this digest."""
    return f"{tenant}/stages/{stage.value}/{digest}/{file}"


def batch_key(tenant: str, batch_id: str, file: str) -> str:
    """Key of one file of a batch; `shared/batch_files.py` says which there are."""
    return f"{tenant}/batches/{batch_id}/{file}"


def batch_folder(tenant: str, batch_id: str) -> str:
    """What the keys of all files of a batch begin with."""
    return batch_key(tenant, batch_id, "")
