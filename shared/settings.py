"""The only reader of the environment: settings are `TROUPE_...` variables, or files that `TROUPE_..._FILE` name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.addresses import Destinations
from shared.environment import SettingsWrong, check_names, values_from_files, variable_of
from shared.loras import AllowedLora, read_loras

# Exit status of a process that cannot run as it is set up (EX_CONFIG of sysexits.h); a new start changes nothing.
EXIT_CONFIG = 78

MOST_WATERMARK_BYTES = 16

Role = Literal["detection", "generation", "all"]


class _Files(PydanticBaseSettingsSource):
    """Values that lie in files, as container platforms hand out secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: the values are read together."""
        raise NotImplementedError(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The values that were found."""
        return dict(values_from_files(os.environ, self.settings_cls.model_fields))


class Settings(BaseSettings):
    """All settings, read once at start and passed on."""

    model_config = SettingsConfigDict(env_prefix="TROUPE_", frozen=True, secrets_dir=None, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature; no such file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed, then the environment, then the files that it names."""
        return init_settings, env_settings, _Files(settings_cls)

    @classmethod
    def read(cls) -> Self:
        """The settings of this process. Raises SettingsWrong, with one line, for whatever a person must mend."""
        check_names(os.environ, cls.model_fields)
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            secret = not field or cls.model_fields[field].annotation is SecretStr
            given = "" if secret else f", not {first['input']!r}"
            raise SettingsWrong(f"{variable_of(field)}: {first['msg'].removeprefix('Value error, ')}{given}") from None

    @classmethod
    def read_or_exit(cls) -> Self:
        """The settings of this process; ends it with one line on stderr where they are wrong."""
        try:
            return cls.read()
        except SettingsWrong as wrong:
            sys.stderr.write(f"troupe: {wrong}\n")
            sys.exit(EXIT_CONFIG)

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Job records, leases, ready sets and progress")
    redis_password: SecretStr = Field(SecretStr(""), description="Password of a Redis whose address has none")
    broker_url: str = Field("", description="Celery's broker; the same Redis when empty")
    key_prefix: str = Field("troupe", description="Prefix of every Redis key and of the Celery queues' names")

    s3_endpoint_url: str = Field("http://127.0.0.1:9000", description="S3 server as the API and the workers reach it")
    s3_public_url: str = Field(
        "", description="S3 server as people reach it; signed addresses are for it. The endpoint when empty"
    )
    s3_region: str = Field("us-east-1", description="Region that requests are signed for")
    s3_bucket: str = Field("troupe", description="Bucket of every picture and array; made at start when missing")
    s3_access_key: str = Field("troupe", description="S3 access key")
    s3_secret_key: SecretStr = Field(SecretStr("troupe-secret"), description="S3 secret key")
    s3_url_expiry_s: int = Field(3600, ge=60, le=604_800, description="How long a signed address stays valid")

    bundle: str = Field("mini", description="Checkpoints: `mini` (embedded), `sdxl` (published), or a bundle folder")
    bundle_folder: str = Field("", description="Where the files of the `sdxl` bundle are")
    base: str = Field(
        "", description="SDXL weights in place of the bundle's own: a folder of diffusers or one `.safetensors` file"
    )
    vae: str = Field("", description="VAE in place of the base's own, named like it; the fp16 fix needs no float32")
    loras: str = Field(
        "",
        description='LoRA files that jobs may name, as JSON: `{"NAME": {"file": "a.safetensors", "scale": 0.8}}`; one '
        'with `"few_step": {"scheduler": "lcm", "steps": 8}` (`euler_trailing`, `ddim_trailing`) is for `fast`',
    )
    dino_engine: Literal["transformers", "original"] = Field("transformers", description="Which Grounding DINO runs")
    role: Role = Field("all", description="What a worker does: `detection`, `generation` or `all`")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`cpu`, `cuda` (the first GPU), `cuda:1`, or `auto`: CUDA where there is one",
    )
    gpu_folder: str = Field(
        "", description="Folder that the workers of a host share, so that each takes a GPU of its own; `cuda` only"
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="Weights of the generator; `auto` is float16 on CUDA and float32 on the CPU"
    )
    batch_branches: bool = Field(True, description="All branches of a step in one UNet forward; off: one by one")
    memory: Literal["full", "lean"] = Field(
        "full",
        description="`lean` takes about half of a card's memory: UNet and IdentityNet in 8 bits, text encoders on the "
        "host between prompts",
    )
    cuda_graphs: bool = Field(
        False,
        description="A step is recorded once a job and replayed, so that the host does not hold a fast GPU up. Not "
        "measured yet",
    )
    max_pixels: int = Field(
        0, ge=0, description="Largest picture a worker draws, width times height; 0: what its device has room for"
    )
    torch_threads: int = Field(0, ge=0, description="CPU threads of a worker; 0 leaves torch's own choice")

    c2pa_certificate: str = Field(
        "", description="PEM file: the certificate that signs pictures, then its issuers; unsigned when empty"
    )
    c2pa_key: str = Field("", description="PEM file: the certificate's private key; only generation workers read it")
    c2pa_algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = Field(
        "es256", description="How the key signs"
    )
    c2pa_timestamp_url: str = Field("", description="Timestamp authority (RFC 3161) asked for every picture; or none")

    watermark: str = Field(
        "",
        description="Text in the colours of every picture and template, 16 bytes at most, read by `./run watermark`; "
        "none when empty",
    )

    safety_checkpoint: str = Field(
        "",
        description="Folder of a safety checker (`./run fetch safety`): what it forbids ends as `unsafe_content`, and "
        "nothing is shown before it was checked; pictures are not checked when empty",
    )

    api_host: str = Field("127.0.0.1", description="Address the API listens on")
    api_port: int = Field(8000, ge=0, le=65_535, description="Port the API listens on")
    auth: bool = Field(False, description="Ask for API keys; off: whoever reaches the API is the tenant `default`")
    reads_per_s: int = Field(
        1000,
        ge=0,
        description="GET requests a tenant may make a second, over ten seconds, at each API process (not at all of "
        "them together), where keys are asked for; 0 is no limit",
    )
    max_photo_bytes: int = Field(20_000_000, ge=1, description="Largest photo in bytes")
    max_photo_pixels: int = Field(50_000_000, ge=1, description="Largest photo in pixels")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Largest JSON body in bytes")
    max_batch_lines: int = Field(100_000, ge=1, description="Most lines of a batch")
    max_batch_bytes: int = Field(200_000_000, ge=1, description="Largest JSONL body of a batch in bytes")
    max_wait_s: float = Field(60.0, ge=0, description="Longest long-poll")
    max_streams: int = Field(5000, ge=0, description="Event streams that one API process serves at once")
    job_expiry_s: int = Field(7 * 86_400, ge=60, description="How long a finished job is kept with all its pictures")
    sweep_every_s: float = Field(5.0, gt=0, description="How often jobs whose time is over are erased")
    orphan_s: int = Field(
        3600,
        ge=60,
        description="Blobs that no job has, and photos that expired, are erased when they are so old",
    )
    photo_expiry_s: int = Field(30 * 86_400, ge=60, description="How long a photo may be used after its last upload")
    require_consent: bool = Field(
        False, description="Refuse photos that come without a word of consent (`consent_required`)"
    )
    audit_entries: int = Field(
        10_000,
        ge=0,
        le=100_000,
        description="Entries of a tenant's audit log, about: the oldest go first. 0: no log",
    )
    audit_expiry_s: int = Field(90 * 86_400, ge=60, description="How long an entry of the audit log is kept at most")

    lease_s: float = Field(30.0, gt=0, description="A worker that does not renew for this long has lost its job")
    renew_every_s: float = Field(8.0, gt=0, description="How often a worker renews its lease while steps advance")
    stall_s: float = Field(
        300.0, gt=0, description="A stage that makes no step for this long is no longer renewed (loading included)"
    )
    reap_every_s: float = Field(5.0, gt=0, description="How often lost leases and lost doorbells are looked for")
    deaf_after_s: float = Field(
        60.0,
        gt=0,
        description="A worker that takes no message for so long, though one waits and it works on nothing, ends "
        "itself, to be started anew; much longer than Celery takes to connect again",
    )
    pump_every_s: float = Field(
        1.0, gt=0, description="Waiting jobs are handed to Celery at once, and looked at anyway this often"
    )
    max_losses: int = Field(3, ge=1, description="A job that lost this many workers is failed as worker_lost")
    in_flight_factor: float = Field(2.0, ge=1, description="Jobs handed to Celery for each live worker process")
    batch_window: int = Field(
        500, ge=1, description="Jobs of a batch that wait or run at once; its other lines stay in S3"
    )
    aging_s: float = Field(600.0, gt=0, description="A batch job that waited this long goes before interactive ones")
    retry_after_s: float = Field(
        2.0, gt=0, description="Pause before a job is tried again after a passing outage; doubles every time"
    )
    progress_every_s: float = Field(0.5, gt=0, description="Progress is written at most this often a job")

    webhook_origins: str = Field(
        "https:443,https:8443",
        description="Schemes and ports that webhooks may use, as `scheme:port`; `http:*` is any port",
    )
    webhook_networks: str = Field(
        "", description="Networks that webhooks may reach though they are not public: `10.1.0.0/16,::1/128`"
    )
    webhook_timeout_s: float = Field(15.0, gt=0, le=300, description="How long one delivery may take, all in all")
    webhook_retry_s: float = Field(
        5.0, gt=0, description="Pause before a delivery is tried again; four times as long every time, with jitter"
    )
    webhook_give_up_s: float = Field(86_400.0, gt=0, le=432_000, description="How long a delivery is tried again")
    webhook_slots: int = Field(128, ge=1, le=1024, description="Deliveries that one process makes at once")

    metrics: bool = Field(True, description="Count, and answer `/metrics` in Prometheus's format")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Port on which a process serves `/metrics` and nothing else. 0: the API answers it at its own "
        "address, a worker nowhere",
    )
    metrics_host: str = Field("127.0.0.1", description="Address that this port is on")

    traces_url: str = Field(
        "", description="OTLP/HTTP collector that traces are sent to, as `http://collector:4318`; none when empty"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged")

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

    @property
    def records_url(self) -> str:
        """Address of the Redis of the records, with its password: not for logs."""
        return self._with_password(self.redis_url)

    @property
    def celery_broker_url(self) -> str:
        """Broker address with its password: its own setting, else the Redis of the records."""
        return self._with_password(self.broker_url or self.redis_url)

    def _with_password(self, url: str) -> str:
        password, parts = self.redis_password.get_secret_value(), urlsplit(url)
        if not password or parts.password is not None or not parts.netloc:
            return url
        name, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{host}"))
