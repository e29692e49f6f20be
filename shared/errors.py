"""The error tree. Every error that leaves a room is one of these; a vendor's error stops in its adapter.

    TroupeError
    ├── RequestError            final: the person who asked can mend it
    │   ├── MalformedBody       malformed_body       the body is not readable as JSON or multipart
    │   ├── InvalidField        invalid_field        a field is missing, unknown or out of range (`pointer` says which)
    │   ├── SizeNotAllowed      size_not_allowed     the bundle does not draw pictures of this size
    │   ├── NoWorkerForSize     no_worker_for_size   no worker that lives has room for pictures of this size
    │   ├── BodyTooLarge        body_too_large       more bytes than a request may carry
    │   ├── NotAPicture         not_a_picture        bytes that no allowed decoder reads
    │   ├── TruncatedPicture    truncated_picture    a picture that ends too early
    │   ├── PictureTooLarge     picture_too_large    too many bytes or too many pixels in a picture
    │   ├── AnimatedPicture     animated_picture     more than one frame
    │   ├── UnknownPhoto        unknown_photo        a photo id that was never uploaded, or has expired
    │   ├── UnknownUpload       unknown_upload       an upload that never came, or was taken or thrown away
    │   ├── ConsentRequired     consent_required     a photo without a word of consent, where the server asks for one
    │   ├── Unauthorized        unauthorized         no API key, or one that is not valid
    │   ├── RateLimited         rate_limited         the tenant asks more often than it may
    │   │   └── QuotaExceeded   quota_exceeded       the tenant's units of this day are used up
    │   ├── JobNotFound         job_not_found        a job id that never was, or has expired
    │   ├── BatchNotFound       batch_not_found      a batch id that never was, or has expired
    │   ├── BatchRefused        batch_refused        a strict batch with a line that is not valid
    │   ├── BatchTooLarge       batch_too_large      more lines than a batch may have
    │   ├── BatchNotOver        batch_not_over       what was asked for needs a batch that is over
    │   ├── NothingToRetry      nothing_to_retry     every line of the batch has its picture, or is not valid
    │   ├── ZipTooLarge         zip_too_large        more pictures than one zip file may have
    │   ├── WebhookNotFound     webhook_not_found    a webhook id that never was, or was deleted
    │   ├── DeliveryNotFound    delivery_not_found   a delivery that never was, or has been forgotten
    │   ├── WebhookDisabled     webhook_disabled     the webhook is off: its receiver said that it is gone
    │   ├── TooManyWebhooks     too_many_webhooks    the tenant has as many webhooks as it may
    │   ├── AddressNotAllowed   address_not_allowed  an address that webhooks may not lead to
    │   ├── PhotoNotFound       photo_not_found      a photo id that never was, or has expired
    │   ├── NotReadyYet         not_ready            the picture asked for does not exist yet
    │   ├── NoPicture           no_picture           the job ended before it made the picture asked for
    │   ├── IdempotencyMismatch idempotency_mismatch the key of this request came with another request before
    │   ├── IdempotencyRunning  idempotency_running  the first request with this key is not answered yet
    │   ├── NotOver             not_over             the job succeeded or still goes on: nothing to do over
    │   ├── RouteNotFound       route_not_found      nothing is served at this address
    │   ├── MethodNotAllowed    method_not_allowed   the address is served, but not with this method
    │   ├── UnsupportedMedia    unsupported_media    a body of a type that this address does not read
    │   ├── NoFace              no_face              no face in a reference photo
    │   ├── PhraseNotFound      phrase_not_found     nobody in the template answers to a concept's phrase
    │   ├── SamePerson          same_person          two concepts find only the same person
    │   ├── NoTemplateFace      no_template_face     the person found for a concept shows no face
    │   └── UnsafeContent       unsafe_content       the safety check forbids what was drawn
    ├── TransientError          may pass: tried again
    │   ├── RecordsUnavailable  records_unavailable  Redis does not answer
    │   ├── BlobsUnavailable    blobs_unavailable    the S3 server does not answer
    │   ├── TooManyStreams      too_many_streams     this process serves as many event streams as it may
    │   └── OutOfMemory         out_of_memory        the device has no room even with split branches
    ├── WorkerLost              worker_lost          the job's workers died under it, too often
    ├── BundleError             bundle_unusable      a checkpoint is missing, truncated or of another shape
    │   └── CertificateUnusable certificate_unusable pictures cannot be signed with the certificate of the settings
    └── Interruption            not failures: reasons to stop working on a job now
        ├── JobCancelled        canceled             the person took the job back
        ├── WorkerDraining      draining             this worker is going away; the job goes back to the front
        └── LeaseLost           lease_lost           another worker holds the job now

Everything else is a bug and is shown as `internal`; its traceback is only in the log.
"""

from __future__ import annotations

from typing import ClassVar

from shared.verification import PhotoFaces


class TroupeError(Exception):
    """An error with a stable code.

    Attributes:
        code: stable name for programs.
        retryable: whether sending the same request again can help.
        message: one sentence for people; it names the value that was wrong.
        pointer: RFC 6901 pointer to the field of the request that is wrong, or None.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


class RequestError(TroupeError):
    """The request cannot be served as it is; the person who sent it can mend it."""

    code = "invalid_request"


class MalformedBody(RequestError):
    """The body is not readable as JSON or multipart."""

    code = "malformed_body"


class InvalidField(RequestError):
    """A field is missing, unknown or out of range."""

    code = "invalid_field"


class SizeNotAllowed(RequestError):
    """The bundle does not draw pictures of this size."""

    code = "size_not_allowed"


class NoWorkerForSize(RequestError):
    """No worker that lives has room for pictures of this size. Without any worker, jobs wait."""

    code = "no_worker_for_size"


class BodyTooLarge(RequestError):
    """More bytes than a request may carry."""

    code = "body_too_large"


class NotAPicture(RequestError):
    """Bytes that no allowed decoder reads as a picture."""

    code = "not_a_picture"


class TruncatedPicture(RequestError):
    """A picture that ends too early."""

    code = "truncated_picture"


class PictureTooLarge(RequestError):
    """Too many bytes or too many pixels in a picture."""

    code = "picture_too_large"


class AnimatedPicture(RequestError):
    """A picture of more than one frame."""

    code = "animated_picture"


class UnknownPhoto(RequestError):
    """A photo id that was never uploaded, or has expired."""

    code = "unknown_photo"


class UnknownUpload(RequestError):
    """An upload that never came to its signed address, or was taken in or thrown away since."""

    code = "unknown_upload"


class ConsentRequired(RequestError):
    """A photo that came without the basis on which it is used, which this server asks for."""

    code = "consent_required"


class Unauthorized(RequestError):
    """No API key, or one that is not valid."""

    code = "unauthorized"


class RateLimited(RequestError):
    """The tenant asks more often than it may. `Retry-After` says when the next request passes."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, pointer: str | None = None, retry_after_s: int = 0) -> None:
        super().__init__(message, pointer=pointer)
        self.retry_after_s = retry_after_s


class QuotaExceeded(RateLimited):
    """The job has more units than the tenant has left for this day (UTC)."""

    code = "quota_exceeded"


class JobNotFound(RequestError):
    """A job id that never was, or has expired."""

    code = "job_not_found"


class BatchNotFound(RequestError):
    """A batch id that never was, or has expired."""

    code = "batch_not_found"


class BatchRefused(RequestError):
    """A strict batch with a line that is not valid: none of its lines runs."""

    code = "batch_refused"


class BatchTooLarge(RequestError):
    """More lines than a batch may have."""

    code = "batch_too_large"


class BatchNotOver(RequestError):
    """What was asked for needs a batch that is over."""

    code = "batch_not_over"
    retryable = True


class NothingToRetry(RequestError):
    """Every line of the batch has its picture, or is not valid."""

    code = "nothing_to_retry"


class ZipTooLarge(RequestError):
    """More pictures than one zip file may have; the manifest has them all."""

    code = "zip_too_large"


class WebhookNotFound(RequestError):
    """A webhook id that never was, or was deleted."""

    code = "webhook_not_found"


class DeliveryNotFound(RequestError):
    """A delivery that never was, or has been forgotten."""

    code = "delivery_not_found"


class WebhookDisabled(RequestError):
    """The webhook is off, because its receiver said that it is gone; `POST .../enable` switches it on again."""

    code = "webhook_disabled"


class TooManyWebhooks(RequestError):
    """The caller has as many webhooks as it may have."""

    code = "too_many_webhooks"


class AddressNotAllowed(RequestError):
    """An address that webhooks may not lead to: its scheme, its port, or what its name stands for."""

    code = "address_not_allowed"


class PhotoNotFound(RequestError):
    """A photo id that was never uploaded, or has expired."""

    code = "photo_not_found"


class NotOver(RequestError):
    """The job has succeeded or still goes on, so there is nothing to do over."""

    code = "not_over"


class NotReadyYet(RequestError):
    """The picture asked for does not exist yet."""

    code = "not_ready"
    retryable = True


class NoPicture(RequestError):
    """The job ended before it made the picture asked for, so the picture will never exist."""

    code = "no_picture"


class IdempotencyMismatch(RequestError):
    """The Idempotency-Key of this request came with another body within the last 24 hours."""

    code = "idempotency_mismatch"


class IdempotencyRunning(RequestError):
    """The first request with this Idempotency-Key is not answered yet."""

    code = "idempotency_running"
    retryable = True


class RouteNotFound(RequestError):
    """Nothing is served at this address."""

    code = "route_not_found"


class MethodNotAllowed(RequestError):
    """The address is served, but not with this method."""

    code = "method_not_allowed"


class UnsupportedMedia(RequestError):
    """A body of a type or encoding that this address does not read."""

    code = "unsupported_media"


class NoFace(RequestError):
    """No face in a reference photo.

    Attributes:
        faces: what each concept's photos show, those with a face too.
    """

    code = "no_face"

    def __init__(
        self, message: str, *, pointer: str | None = None, faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    ) -> None:
        super().__init__(message, pointer=pointer)
        self.faces = faces


class PhraseNotFound(RequestError):
    """Nobody in the template answers to a concept's phrase. Another seed or another wording can help."""

    code = "phrase_not_found"


class SamePerson(RequestError):
    """Two concepts find only the same person. Position words or an explicit box settle it."""

    code = "same_person"


class NoTemplateFace(RequestError):
    """The person found for a concept shows no face in the template."""

    code = "no_template_face"


class UnsafeContent(RequestError):
    """The server's safety check forbids what was drawn. Another scene or another seed may pass."""

    code = "unsafe_content"


class TransientError(TroupeError):
    """Something that may pass by itself; the work is tried again."""

    code = "unavailable"
    retryable = True


class RecordsUnavailable(TransientError):
    """Redis does not answer."""

    code = "records_unavailable"


class BlobsUnavailable(TransientError):
    """The S3 server does not answer."""

    code = "blobs_unavailable"


class TooManyStreams(TransientError):
    """The process serves as many event streams as it may; come back, or poll."""

    code = "too_many_streams"


class OutOfMemory(TransientError):
    """The device has no room for the job, even with its branches split."""

    code = "out_of_memory"


class WorkerLost(TroupeError):
    """The job's workers died under it, too often to try again."""

    code = "worker_lost"
    retryable = True


class BundleError(TroupeError):
    """A checkpoint is missing, truncated or of another shape; the message names the file."""

    code = "bundle_unusable"


class CertificateUnusable(BundleError):
    """Pictures cannot be signed with the certificate and key that the settings name; the message says why."""

    code = "certificate_unusable"


class Interruption(TroupeError):
    """Not a failure: a reason to stop working on a job now."""

    code = "interrupted"
    retryable = True


class JobCanceled(Interruption):
    """The person took the job back."""

    code = "canceled"


class WorkerDraining(Interruption):
    """This worker is going away; the job goes back to the front of its lane."""

    code = "draining"


class LeaseLost(Interruption):
    """Another worker holds the job now; whatever this one does must have no effect."""

    code = "lease_lost"
