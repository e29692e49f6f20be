"""Every setting: its type, limits, default and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from shared.addresses import Destinations
from shared.loras import AllowedLora, read_loras
from shared.redis_settings import RedisSettings
from shared.web_settings import WebSettings

MOST_WATERMARK_BYTES = 16

Role = Literal["detection", "generation", "all"]


class Settings(WebSettings, RedisSettings):
    """All settings, read once at start and passed on. `python -m compose.documents --write` lists them in a table."""

    key_prefix: str = Field("troupe", description="Prefix of all Redis keys and Celery queue names")

    s3_endpoint_url: str = Field("http://127.0.0.1:9000", description="S3 endpoint that the API and the workers use")
    s3_public_url: str = Field(
        "", description="S3 endpoint that clients use; signed URLs point to it. Empty: `TROUPE_S3_ENDPOINT_URL`"
    )
    s3_region: str = Field(
        "us-east-1", description="S3 region used in request signatures, and where a missing bucket is created"
    )
    s3_addressing: Literal["path", "virtual"] = Field(
        "path", description="Where a request names the bucket: in the path, or in the host name (`virtual`)"
    )
    s3_ca_file: str = Field(
        "",
        description="PEM file with the authorities that sign the S3 server's certificate. Empty: those of the system",
    )
    s3_bucket: str = Field("troupe", description="Bucket for all photos, pictures and arrays; created if missing")
    s3_access_key: str = Field(
        "troupe",
        description="S3 access key. Empty: the credentials of the environment (`AWS_...` with a session token, web "
        "identity, container or instance role)",
    )
    s3_secret_key: SecretStr = Field(SecretStr("troupe-secret"), description="S3 secret key of that access key")
    s3_url_expiry_s: int = Field(3600, ge=60, le=604_800, description="Lifetime of a signed URL")

    bundle: str = Field(
        "mini", description="Checkpoint bundle: `mini` (included), `sdxl` (published checkpoints) or a bundle folder"
    )
    bundle_folder: str = Field("", description="Folder that contains the files of the `sdxl` bundle")
    base: str = Field(
        "",
        description="SDXL weights that replace those of the bundle: a diffusers folder or a single `.safetensors` file",
    )
    vae: str = Field(
        "",
        description="VAE that replaces the one of the SDXL weights, in the same two formats; with the fp16 fix, "
        "decoding needs no float32",
    )
    loras: str = Field(
        "",
        description='LoRA files that jobs may name, as JSON: `{"NAME": {"file": "a.safetensors", "scale": 0.8}}`. The '
        'preset `fast` uses the one with `"few_step": {"scheduler": "lcm", "steps": 8}` (or `euler_trailing`, '
        "`ddim_trailing`)",
    )
    dino_engine: Literal["transformers", "original"] = Field(
        "transformers", description="Grounding DINO implementation: `transformers` or `original` (groundingdino-py)"
    )
    role: Role = Field("all", description="Stages that a worker runs: detection stages, generation stages or all")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`cpu`, `cuda` (the first GPU), `cuda:1`, ..., or `auto`: CUDA if available",
    )
    gpu_folder: str = Field(
        "",
        description="Folder shared by the workers of a host, in which each worker locks one GPU for itself; only with "
        "`TROUPE_DEVICE=cuda`",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="Data type of the generator's weights; `auto`: float16 on CUDA, float32 on a CPU"
    )
    batch_branches: bool = Field(
        True, description="Run all branches of a denoising step in one UNet forward pass instead of one by one"
    )
    memory: Literal["full", "quantized"] = Field(
        "full",
        description="`quantized` needs about half of the GPU memory: UNet and IdentityNet in 8 bits, text encoders in "
        "host memory between prompts",
    )
    cuda_graphs: bool = Field(
        False,
        description="Record a denoising step as a CUDA graph once per job and replay it, which removes launch overhead "
        "on fast GPUs",
    )
    max_pixels: int = Field(
        0,
        ge=0,
        description="Largest picture that a worker accepts, width times height; 0: what fits its memory",
    )
    torch_threads: int = Field(0, ge=0, description="CPU threads of a worker; 0: torch's default")

    c2pa_certificate: str = Field(
        "",
        description="PEM file with the certificate chain that signs pictures, leaf first. Empty: pictures are unsigned",
    )
    c2pa_key: str = Field(
        "", description="PEM file with the private key of the certificate; only generation workers read it"
    )
    c2pa_algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = Field(
        "es256", description="Signature algorithm of the key"
    )
    c2pa_timestamp_url: str = Field(
        "", description="RFC 3161 timestamp authority, called once for each picture. Empty: no timestamps"
    )

    watermark: str = Field(
        "",
        description="Text of the invisible watermark in every picture and template, at most 16 bytes; read it with "
        "`./run watermark`. Empty: no watermark",
    )

    safety_checkpoint: str = Field(
        "",
        description="Folder of a safety checker (`./run fetch safety`). Jobs whose picture it rejects fail with "
        "`unsafe_content`, and previews are off. Empty: pictures are not checked",
    )

    api_host: str = Field("127.0.0.1", description="Address that the API listens on")
    api_port: int = Field(8000, ge=0, le=65_535, description="Port that the API listens on")
    auth: bool = Field(False, description="Require API keys. If off, every caller acts as the tenant `default`")
    reads_per_s: int = Field(
        1000,
        ge=0,
        description="GET requests per second and tenant, averaged over ten seconds; counted by each API process and "
        "only with `TROUPE_AUTH`. 0: no limit",
    )
    max_photo_bytes: int = Field(20_000_000, ge=1, description="Maximum size of a photo in bytes")
    max_photo_pixels: int = Field(50_000_000, ge=1, description="Maximum size of a photo in pixels")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Maximum size of a JSON body in bytes")
    max_batch_lines: int = Field(100_000, ge=1, description="Maximum number of lines in a batch")
    max_batch_bytes: int = Field(200_000_000, ge=1, description="Maximum size of a batch's JSONL body in bytes")
    max_streams: int = Field(5000, ge=0, description="Maximum number of open event streams per API process")
    job_expiry_s: int = Field(
        7 * 86_400, ge=60, description="Retention of a finished job and its pictures, if the job does not set its own"
    )
    sweep_every_s: float = Field(5.0, gt=0, description="Interval at which expired jobs are erased")
    orphan_s: int = Field(
        3600,
        ge=60,
        description="Minimum age at which blobs without a job, and expired photos, are deleted from the bucket",
    )
    photo_expiry_s: int = Field(30 * 86_400, ge=60, description="Retention of a photo, counted from its last upload")
    require_consent: bool = Field(
        False, description="Reject photos that are uploaded without a statement of consent (`consent_required`)"
    )
    audit_entries: int = Field(
        10_000,
        ge=0,
        le=100_000,
        description="Approximate number of entries kept in the audit log of a tenant, newest first. 0: no audit log",
    )
    audit_expiry_s: int = Field(90 * 86_400, ge=60, description="Retention of an audit log entry")

    lease_s: float = Field(
        30.0,
        gt=0,
        description="Lifetime of a worker's lease on a job; without a renewal the job goes to another worker",
    )
    renew_every_s: float = Field(
        8.0, gt=0, description="Interval at which a worker renews its lease while its stage makes progress"
    )
    stall_s: float = Field(
        300.0,
        gt=0,
        description="A stage without progress for this long counts as stalled, and its lease is not renewed. Loading "
        "models counts as part of the stage",
    )
    reap_every_s: float = Field(
        5.0, gt=0, description="Interval at which expired leases and lost messages are detected"
    )
    stuck_after_s: float = Field(
        60.0,
        gt=0,
        description="Restart a worker that stays idle this long while messages wait in its queue. Keep it well above "
        "the time that Celery needs to reconnect",
    )
    dispatch_every_s: float = Field(
        1.0,
        gt=0,
        description="Fallback polling interval of the dispatcher; new jobs are normally dispatched at once",
    )
    max_losses: int = Field(3, ge=1, description="Number of lost workers after which a job fails with `worker_lost`")
    in_flight_factor: float = Field(2.0, ge=1, description="Jobs dispatched to Celery per live worker process")
    batch_window: int = Field(
        500, ge=1, description="Lines of a batch that are queued or running at once; the others wait in S3"
    )
    aging_s: float = Field(
        600.0, gt=0, description="Waiting time after which a batch job takes precedence over interactive jobs"
    )
    retry_after_s: float = Field(
        2.0, gt=0, description="Delay before a job is retried after a transient error; doubles with each retry"
    )
    progress_every_s: float = Field(0.5, gt=0, description="Minimum interval between progress updates of a job")

    webhook_origins: str = Field(
        "https:443,https:8443",
        description="Schemes and ports that webhook URLs may use, as `scheme:port`; `http:*` allows any port",
    )
    webhook_networks: str = Field(
        "", description="Private networks that webhooks may reach, for example `10.1.0.0/16,::1/128`"
    )
    webhook_timeout_s: float = Field(15.0, gt=0, le=300, description="Timeout of one delivery attempt")
    webhook_retry_s: float = Field(
        5.0, gt=0, description="Delay before the first retry of a delivery; quadruples with each retry, with jitter"
    )
    webhook_give_up_s: float = Field(
        86_400.0, gt=0, le=432_000, description="Time after which a delivery is no longer retried"
    )
    webhook_slots: int = Field(128, ge=1, le=1024, description="Concurrent deliveries per webhooks process")

    metrics: bool = Field(True, description="Collect metrics and serve them at `/metrics` for Prometheus")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Separate port for `/metrics`. 0: the API serves it on its own port, a worker does not serve it",
    )
    metrics_host: str = Field("127.0.0.1", description="Address that the metrics port listens on")

    traces_url: str = Field(
        "", description="OTLP/HTTP collector for traces, for example `http://collector:4318`. Empty: no traces"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum level of log events")

    @field_validator("watermark")
    @classmethod
    def _watermark_is_short(cls, text: str) -> str:
        if len(text.encode()) > MOST_WATERMARK_BYTES or (text and not text.isprintable()):
            message = f"a watermark has at most {MOST_WATERMARK_BYTES} bytes in UTF-8, all printable"
            raise ValueError(message)
        return text

    @field_validator("webhook_origins")
    @classmethod
    def _origins_can_be_read(cls, text: str) -> str:
        Destinations.read(text, "")
        return text

    @field_validator("webhook_networks")
    @classmethod
    def _networks_can_be_read(cls, text: str) -> str:
        Destinations.read("", text)
        return text

    @field_validator("loras")
    @classmethod
    def _loras_can_be_read(cls, text: str) -> str:
        read_loras(text)
        return text

    @property
    def allowed_loras(self) -> Mapping[str, AllowedLora]:
        """The LoRA files that jobs may name."""
        return read_loras(self.loras)

    @property
    def webhook_destinations(self) -> Destinations:
        """Where webhooks may lead."""
        return Destinations.read(self.webhook_origins, self.webhook_networks)
