from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import numpy as np

from compose.processes import ROOT
from shared.settings import Settings
from tests.support.provenance import validated
from tests.support.stack_files import MAIN, compose_file
from worker.output.png import png
from worker.output.provenance import signer_of


def make(folder: Path) -> str:
    return subprocess.run(
        [ROOT / "compose" / "secrets.sh", folder], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def test_every_secret_of_the_stack_is_made_for_the_owner_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    told = make(folder)
    assert {path.name for path in folder.iterdir()} == set(compose_file(MAIN)["secrets"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(path.read_text().strip() not in told for path in folder.iterdir())
    assert len({path.read_text() for path in folder.iterdir()}) == len(list(folder.iterdir()))


def test_servers_and_services_are_given_the_same_secrets(tmp_path: Path) -> None:
    make(tmp_path)
    password = (tmp_path / "redis_password").read_text()
    assert len(password) == 48
    assert (tmp_path / "redis.conf").read_text() == f"requirepass {password}\n"
    (identity,) = json.loads((tmp_path / "s3.json").read_text())["identities"]
    key = (tmp_path / "s3_secret_key").read_text()
    assert identity["credentials"] == [{"accessKey": "troupe", "secretKey": key}]


def test_the_certificate_of_the_stack_signs_pictures_that_readers_find_valid(tmp_path: Path) -> None:
    make(tmp_path)
    files = {"c2pa_certificate": str(tmp_path / "c2pa_chain.pem"), "c2pa_key": str(tmp_path / "c2pa_key.pem")}
    signer = signer_of(Settings.model_validate(files), "mini@0123456789ab")
    assert signer is not None
    state, manifest, failures = validated(signer.sign(png(np.zeros((64, 64, 3), np.uint8))))
    assert (state, failures) == ("Valid", ["signingCredential.untrusted"])
    assert manifest["signature_info"]["issuer"] == "Troupe (self-made certificate)"


def test_what_is_there_stays_and_what_is_made_of_it_follows(tmp_path: Path) -> None:
    make(tmp_path)
    login = (tmp_path / "flower_login").read_text()
    (tmp_path / "redis_password").unlink()
    (tmp_path / "redis_password").write_text("mine")
    make(tmp_path)
    assert (tmp_path / "redis.conf").read_text() == "requirepass mine\n"
    assert (tmp_path / "flower_login").read_text() == login
