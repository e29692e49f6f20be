"""Provenance: the signed C2PA manifest of a picture (C2PA specification 2.2).

It says that a machine drew the whole picture, by which version of Troupe and which bundle, and nothing of the people or
the words it was made from. Anybody can check it, with `c2patool` or on contentcredentials.org.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import c2pa
from PIL import Image

from shared.errors import CertificateUnusable
from shared.settings import Settings
from shared.telemetry.log import get_logger
from shared.version import VERSION

# https://cv.iptc.org/newscodes/digitalsourcetype: no pixel of a photo is in the picture, so it is no composite.
DRAWN_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_PNG = "image/png"
# No thumbnail: it would embed a second picture. Signatures are verified once at the start, and by readers.
_SETTINGS = {"version": 1, "builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ManifestSigner:
    """Signs pictures for one bundle. bundle: its name with the fingerprint.

    stamped: signs with the time of a timestamp authority, so that the signature outlives its certificate; if there is
    one. plain: signs without.
    """

    bundle: str
    plain: c2pa.Context
    stamped: c2pa.Context | None = None

    def sign(self, png: bytes) -> bytes:
        """The PNG with a manifest in it.

        A timestamp authority that does not answer costs the picture its timestamp, not its signature.
        """
        if self.stamped is not None:
            try:
                return self._signed(png, self.stamped)
            except c2pa.C2paError as error:
                log.warning("picture_not_timestamped", reason=str(error))
        return self._signed(png, self.plain)

    def _signed(self, png: bytes, context: c2pa.Context) -> bytes:
        out = io.BytesIO()
        with c2pa.Builder(json.dumps(manifest_of(self.bundle)), context=context) as builder:
            builder.sign(_PNG, io.BytesIO(png), out)
        return out.getvalue()


def manifest_of(bundle: str) -> dict[str, object]:
    """The content of a picture's manifest. bundle: name with fingerprint."""
    troupe = {"name": "Troupe", "version": VERSION}
    drawn = {
        "action": "c2pa.created",
        "digitalSourceType": DRAWN_BY_A_MODEL,
        "softwareAgent": troupe,
        "description": "Drawn by a machine: Stable Diffusion XL with InstantID, checkpoints of the bundle named here",
        "parameters": {"troupe.bundle": bundle},
    }
    return {
        "claim_generator_info": [troupe],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [drawn]}}],
    }


def signer_of(settings: Settings, bundle: str) -> ManifestSigner | None:
    """The signer of the settings, None when they name no certificate.

    Signs a small picture first. Raises CertificateUnusable where that fails: before any job, and not after its drawing.
    """
    if not settings.c2pa_certificate and not settings.c2pa_key:
        return None
    certificate = _read(settings.c2pa_certificate, "TROUPE_C2PA_CERTIFICATE")
    key = _read(settings.c2pa_key, "TROUPE_C2PA_KEY")

    def context(timestamp_url: str | None) -> c2pa.Context:
        info = c2pa.C2paSignerInfo(settings.c2pa_algorithm, certificate, key, timestamp_url)
        return c2pa.Context.from_dict(_SETTINGS, signer=c2pa.Signer.from_info(info))

    try:
        url = settings.c2pa_timestamp_url
        signer = ManifestSigner(bundle=bundle, plain=context(None), stamped=context(url) if url else None)
        proof = ManifestSigner(bundle=bundle, plain=signer.plain).sign(_blank())
        with c2pa.Reader(_PNG, io.BytesIO(proof)) as reader:
            state = reader.get_validation_state()
    except c2pa.C2paError as error:
        raise _unusable(settings, str(error)) from error
    # "Valid": intact and signed by this certificate. Whether to trust its issuer is up to the reader.
    if state not in {"Valid", "Trusted"}:
        raise _unusable(settings, f"a picture signed with it is {state}")
    return signer


def _read(path: str, variable: str) -> bytes:
    if not path:
        message = f"{variable} is not set: signing needs a certificate and its key"
        raise CertificateUnusable(message)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"{variable}: {path} cannot be read ({error.strerror})"
        raise CertificateUnusable(message) from error


def _unusable(settings: Settings, why: str) -> CertificateUnusable:
    # Neither message contains any part of the key.
    where = f"certificate {settings.c2pa_certificate}, key {settings.c2pa_key}, algorithm {settings.c2pa_algorithm}"
    return CertificateUnusable(f"pictures cannot be signed with {where}: {why}")


def _blank() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "PNG")
    return out.getvalue()
