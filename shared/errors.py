"""The error tree. Every error that leaves a module is one of these; vendor errors stop in their adapter.

    TroupeError
    ├── RequestError    final: the sender of the request can correct it
    ├── TransientError  temporary: the work is retried
    ├── BlobsRefused    the S3 server refuses this installation: its operator must act
    ├── BlobDamaged     a stored file is not what was written
    ├── WorkerLost      the job's workers stopped too often
    ├── BundleError     checkpoints or certificates of this installation cannot be used
    └── Interruption    no failure: a reason to stop working on a job now

A class has its code, its HTTP status and, as the first line of its docstring, its meaning: the documents, the OpenAPI
document, the client and the page read them here. Any other exception is a bug and is shown as `internal`; its traceback
is only in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import ClassVar

from shared.verification import PhotoFaces


class TroupeError(Exception):
    """A bug; details are in the log.

    Attributes:
        code: stable name for programs.
        status: HTTP status of a response with this error. A job's error stands in the job, which is served with 200.
        retryable: whether sending the same request again can help.
        on_page: whether the page has its own text for it, under its code.
        meaning: what happened, in one sentence.
        message: what happened this time, in one sentence with the wrong value.
        pointer: RFC 6901 pointer to the wrong field of the request, or None.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    retryable: ClassVar[bool] = False
    on_page: ClassVar[bool] = True
    meaning: ClassVar[str] = "A bug; details are in the log."

    def __init_subclass__(
        cls, *, code: str, status: int | None = None, retryable: bool | None = None, on_page: bool = True
    ) -> None:
        """Sets what the class says of itself; the rest is its parent's."""
        super().__init_subclass__()
        cls.code = code
        cls.on_page = on_page
        cls.meaning = (cls.__doc__ or code).strip().splitlines()[0]
        if status is not None:
            cls.status = HTTPStatus(status)
        if retryable is not None:
            cls.retryable = retryable

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


def error_kinds(kind: type[TroupeError] = TroupeError) -> Iterator[type[TroupeError]]:
    """The class and every class below it, parents first."""
    yield kind
    for below in kind.__subclasses__():
        yield from error_kinds(below)


class RequestError(TroupeError, code="invalid_request", status=400, on_page=False):
    """The request cannot be served; its sender can correct it."""


class MalformedBody(RequestError, code="malformed_body", on_page=False):
    """The body is not readable as JSON or multipart."""


class InvalidField(RequestError, code="invalid_field", status=422):
    """A field is missing, unknown or out of range."""


class SizeNotAllowed(RequestError, code="size_not_allowed", status=422):
    """The bundle does not draw pictures of this size."""


class NoWorkerForSize(RequestError, code="no_worker_for_size", status=422):
    """No running worker has enough memory for pictures of this size."""


class BodyTooLarge(RequestError, code="body_too_large", status=413, on_page=False):
    """The body has more bytes than a request may have."""


class NotAPicture(RequestError, code="not_a_picture", status=422):
    """The bytes are not a PNG, JPEG or WebP picture."""


class TruncatedPicture(RequestError, code="truncated_picture", status=422):
    """The picture ends too early."""


class PictureTooLarge(RequestError, code="picture_too_large", status=413):
    """The picture has too many bytes or too many pixels."""


class AnimatedPicture(RequestError, code="animated_picture", status=422):
    """The picture has more than one frame."""


class UnknownPhoto(RequestError, code="unknown_photo", status=422):
    """The photo was never uploaded, or it has expired."""


class UnknownUpload(RequestError, code="unknown_upload", status=422, on_page=False):
    """Nothing was uploaded to the signed URL, or the upload was already used or deleted."""


class ConsentRequired(RequestError, code="consent_required", status=422):
    """This server accepts a photo only with a statement of consent."""


class Unauthorized(RequestError, code="unauthorized", status=401):
    """The API key is missing or invalid."""


class RateLimited(RequestError, code="rate_limited", status=429, retryable=True):
    """The tenant has sent too many requests; `Retry-After` gives the seconds until the next one is accepted.

    Attributes:
        retry_after_s: seconds until the next request is accepted.
    """

    def __init__(self, message: str, *, pointer: str | None = None, retry_after_s: int = 0) -> None:
        super().__init__(message, pointer=pointer)
        self.retry_after_s = retry_after_s


class QuotaExceeded(RateLimited, code="quota_exceeded"):
    """The job needs more units than the tenant has left for this day (UTC)."""


class JobNotFound(RequestError, code="job_not_found", status=404):
    """The job does not exist, or its record has expired."""


class BatchNotFound(RequestError, code="batch_not_found", status=404):
    """The batch does not exist, or its record has expired."""


class BatchRefused(RequestError, code="batch_refused", status=422, on_page=False):
    """The batch is strict and one of its lines is not valid; no line runs."""


class BatchTooLarge(RequestError, code="batch_too_large", status=413, on_page=False):
    """The batch has more lines than allowed."""


class BatchNotOver(RequestError, code="batch_not_over", status=409, retryable=True, on_page=False):
    """The batch is still running, and the request needs a finished one."""


class NothingToRetry(RequestError, code="nothing_to_retry", status=409):
    """Every line of the batch has its picture or is not valid."""


class ZipTooLarge(RequestError, code="zip_too_large", status=409):
    """The batch has more pictures than one zip file may have; the manifest lists them all."""


class WebhookNotFound(RequestError, code="webhook_not_found", status=404, on_page=False):
    """The webhook does not exist, or it was deleted."""


class DeliveryNotFound(RequestError, code="delivery_not_found", status=404, on_page=False):
    """The delivery does not exist, or its record has expired."""


class WebhookDisabled(RequestError, code="webhook_disabled", status=409, on_page=False):
    """The webhook is disabled because its receiver answered 410; `POST .../enable` enables it."""


class TooManyWebhooks(RequestError, code="too_many_webhooks", status=409, on_page=False):
    """The tenant has the largest allowed number of webhooks."""


class AddressNotAllowed(RequestError, code="address_not_allowed", status=422, on_page=False):
    """Webhooks may not use this URL: its scheme, port or IP address is not allowed."""


class PhotoNotFound(RequestError, code="photo_not_found", status=404):
    """The photo does not exist, or it has expired."""


class NotOver(RequestError, code="not_over", status=409, on_page=False):
    """The job has succeeded or is not finished, so it cannot be retried."""


class NotReadyYet(RequestError, code="not_ready", status=409, retryable=True):
    """The picture does not exist yet."""


class NoPicture(RequestError, code="no_picture", status=409):
    """The job ended before it made this picture, so the picture will never exist."""


class IdempotencyMismatch(RequestError, code="idempotency_mismatch", status=422, on_page=False):
    """This Idempotency-Key was used for a different request within the last 24 hours."""


class IdempotencyRunning(RequestError, code="idempotency_running", status=409, retryable=True, on_page=False):
    """The first request with this Idempotency-Key is still running."""


class RouteNotFound(RequestError, code="route_not_found", status=404, on_page=False):
    """Nothing is served at this path."""


class MethodNotAllowed(RequestError, code="method_not_allowed", status=405, on_page=False):
    """This path does not support the method."""


class UnsupportedMedia(RequestError, code="unsupported_media", status=415, on_page=False):
    """This path does not read bodies of this type or encoding."""


class NoFace(RequestError, code="no_face", status=422):
    """A reference photo shows no face.

    Attributes:
        faces: what each photo of each concept shows, including photos with a face.
    """

    def __init__(
        self, message: str, *, pointer: str | None = None, faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    ) -> None:
        super().__init__(message, pointer=pointer)
        self.faces = faces


class PhraseNotFound(RequestError, code="phrase_not_found", status=422):
    """The template shows nobody who matches a concept's phrase; another seed or wording may help."""


class SamePerson(RequestError, code="same_person", status=422):
    """Two concepts match only one person; position words or a box may help."""


class NoTemplateFace(RequestError, code="no_template_face", status=422):
    """The person found for a concept shows no face in the template."""


class UnsafeContent(RequestError, code="unsafe_content", status=422):
    """The server's safety check rejected the picture; another scene or seed may pass."""


class TransientError(TroupeError, code="unavailable", status=503, retryable=True):
    """A temporary failure; the work is retried."""


class RecordsUnavailable(TransientError, code="records_unavailable"):
    """Redis does not answer."""


class BlobsUnavailable(TransientError, code="blobs_unavailable"):
    """The S3 server does not answer."""


class TooManyStreams(TransientError, code="too_many_streams"):
    """The process serves its largest number of event streams; retry later, or poll."""


class OutOfMemory(TransientError, code="out_of_memory"):
    """The device has too little memory for the job."""


class BlobsRefused(TroupeError, code="blobs_refused", status=503):
    """The S3 server refuses the key, bucket or rights of this installation."""


class BlobDamaged(TroupeError, code="blob_damaged", retryable=True):
    """A stored file was cut or changed; a new attempt makes it again."""


class WorkerLost(TroupeError, code="worker_lost", retryable=True):
    """The workers of this job stopped too often."""


class BundleError(TroupeError, code="bundle_unusable"):
    """A checkpoint is missing, truncated or has unexpected tensors; the message names the file."""


class CertificateUnusable(BundleError, code="certificate_unusable"):
    """Pictures cannot be signed with the configured certificate and key."""


class Interruption(TroupeError, code="interrupted", status=503, retryable=True, on_page=False):
    """Work on the job stops now, without a failure."""


class JobCanceled(Interruption, code="canceled", status=409, on_page=False):
    """The job was canceled."""


class WorkerDraining(Interruption, code="draining", on_page=False):
    """This worker is shutting down; the job goes back to the front of its lane."""


class LeaseLost(Interruption, code="lease_lost", on_page=False):
    """Another worker holds the job's lease; this worker must not change anything."""
