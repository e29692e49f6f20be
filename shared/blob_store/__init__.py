"""Bytes in one S3 bucket: put, get, sign. Vendor errors become ours here."""

from shared.blob_store.keys import (
    OWNER_KEY,
    batch_folder,
    batch_key,
    faces_key,
    photo_key,
    photos_folder,
    stage_folder,
    stage_key,
    upload_key,
)
from shared.blob_store.store import UPLOAD_S, Blob, BlobStore

__all__ = [
    "OWNER_KEY",
    "UPLOAD_S",
    "Blob",
    "BlobStore",
    "batch_folder",
    "batch_key",
    "faces_key",
    "photo_key",
    "photos_folder",
    "stage_folder",
    "stage_key",
    "upload_key",
]
