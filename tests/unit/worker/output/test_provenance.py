from __future__ import annotations

import io
import json
import time
from pathlib import Path

import c2pa
import numpy as np
import pytest

from compose.certificate import CertificateFiles, own_certificate
from shared.errors import CertificateUnusable
from shared.settings import Settings
from tests.support.provenance import validated
from worker.output.png import pixels, png
from worker.output.provenance import DRAWN_BY_A_MODEL, ManifestSigner, signer_of

# Noise, so that no byte of the file is there twice by chance.
PICTURE = np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return own_certificate(tmp_path_factory.mktemp("c2pa"))


def settings_with(files: CertificateFiles, **changed: str) -> Settings:
    paths = {"c2pa_certificate": str(files.chain), "c2pa_key": str(files.key)}
    return Settings.model_validate({**paths, **changed})


def signer(files: CertificateFiles, **changed: str) -> ManifestSigner:
    found = signer_of(settings_with(files, **changed), "mini@0123456789ab")
    assert found is not None
    return found


def test_a_signed_picture_says_who_drew_it_and_is_the_same_picture(files: CertificateFiles) -> None:
    signed = signer(files).sign(png(PICTURE))
    assert np.array_equal(pixels(signed), PICTURE)
    state, manifest, _ = validated(signed, root=files.root)
    assert state == "Trusted"
    (assertion,) = manifest["assertions"]
    (action,) = assertion["data"]["actions"]
    assert (assertion["label"], action["action"]) == ("c2pa.actions.v2", "c2pa.created")
    assert action["digitalSourceType"] == DRAWN_BY_A_MODEL
    assert (action["softwareAgent"]["name"], action["parameters"]) == ("Troupe", {"troupe.bundle": "mini@0123456789ab"})


def test_who_does_not_know_the_issuer_still_sees_that_the_picture_is_whole(files: CertificateFiles) -> None:
    state, _, failures = validated(signer(files).sign(png(PICTURE)))
    assert (state, failures) == ("Valid", ["signingCredential.untrusted"])


def test_a_changed_pixel_shows(files: CertificateFiles) -> None:
    signed = bytearray(signer(files).sign(png(PICTURE)))
    signed[-100] ^= 1
    state, _, failures = validated(bytes(signed), root=files.root)
    assert state == "Invalid"
    assert "assertion.dataHash.mismatch" in failures


def test_pictures_are_not_signed_where_nobody_says_with_what() -> None:
    assert signer_of(Settings(), "mini") is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"c2pa_certificate": "/no/such/chain.pem"}, "TROUPE_C2PA_CERTIFICATE: /no/such/chain.pem cannot be read"),
        ({"c2pa_key": "/no/such/key.pem"}, "TROUPE_C2PA_KEY: /no/such/key.pem cannot be read"),
        ({"c2pa_key": ""}, "TROUPE_C2PA_KEY is not set"),
        ({"c2pa_certificate": ""}, "TROUPE_C2PA_CERTIFICATE is not set"),
        ({"c2pa_algorithm": "ps256"}, "algorithm ps256"),
    ],
)
def test_a_certificate_that_cannot_sign_is_said_at_the_start(
    files: CertificateFiles, changed: dict[str, str], words: str
) -> None:
    with pytest.raises(CertificateUnusable, match=words):
        signer_of(settings_with(files, **changed), "mini")


def test_the_key_of_another_certificate_and_what_is_no_certificate_are_said(
    files: CertificateFiles, tmp_path: Path
) -> None:
    other = own_certificate(tmp_path / "other")
    (tmp_path / "text.pem").write_text("not a certificate\n")
    for changed in ({"c2pa_key": str(other.key)}, {"c2pa_certificate": str(tmp_path / "text.pem")}):
        with pytest.raises(CertificateUnusable, match="pictures cannot be signed") as caught:
            signer_of(settings_with(files, **changed), "mini")
        assert "PRIVATE" not in caught.value.message


def test_a_timestamp_authority_that_is_away_costs_the_timestamp_and_not_the_signature(files: CertificateFiles) -> None:
    # Nobody listens on port 1.
    signed = signer(files, c2pa_timestamp_url="http://127.0.0.1:1/").sign(png(PICTURE))
    assert validated(signed, root=files.root)[0] == "Trusted"


def test_signing_takes_milliseconds_and_a_few_kilobytes(files: CertificateFiles) -> None:
    own, data = signer(files), png(np.zeros((512, 512, 3), np.uint8))
    started_s = time.perf_counter()
    signed = own.sign(data)
    assert time.perf_counter() - started_s < 1.0
    assert len(signed) - len(data) < 6000
    assert json.loads(c2pa.Reader("image/png", io.BytesIO(signed)).json())["active_manifest"]
