"""A certificate of this machine, with which the embedded stack signs pictures, so that changes are detected.

It is created once. Readers do not trust its issuer unless told to. The key of the issuer is discarded after signing, so
it cannot sign anything else. C2PA requires these extensions (specification 2.2, section 14.5.1): an extended
key usage of its list, digitalSignature, and the key identifiers of a version 3 certificate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=3650)
# Tolerance for a clock that is set back a little.
_EARLIER = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """Files of the certificate. chain: the signing certificate and its issuer. root: the issuer, for verifiers."""

    chain: Path
    key: Path
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The settings that select it."""
        return {
            "TROUPE_C2PA_CERTIFICATE": str(self.chain.resolve()),
            "TROUPE_C2PA_KEY": str(self.key.resolve()),
            "TROUPE_C2PA_ALGORITHM": "es256",
        }


def own_certificate(folder: Path) -> CertificateFiles:
    """The certificate in this folder, created if missing. Only its owner can read the key."""
    files = CertificateFiles(chain=folder / "chain.pem", key=folder / "key.pem", root=folder / "root.pem")
    # Written last: if it exists, all files exist.
    if not files.chain.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(files)
    return files


def _make(files: CertificateFiles) -> None:
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer_name, name = _name("Troupe, this machine's own issuer"), _name("Troupe on this machine")
    by_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    issuer = _signed(
        _certificate(issuer_name, issuer_name, issuer_key.public_key()),
        [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(issues=True), True)],
        issuer_key,
    )
    leaf = _signed(
        _certificate(name, issuer_name, key.public_key()),
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(issues=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
            (by_issuer, False),
        ],
        issuer_key,
    )
    _write(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    _write(files.root, issuer.public_bytes(Encoding.PEM), mode=0o644)
    _write(files.chain, leaf.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM), mode=0o644)


def _name(common: str) -> x509.Name:
    # Readers display the organization as the signer.
    parts = {NameOID.ORGANIZATION_NAME: "Troupe (self-made certificate)", NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def _certificate(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, SHA256())


def _write(path: Path, data: bytes, *, mode: int) -> None:
    """Writes the file atomically, with this mode from the start."""
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    written.replace(path)
