from __future__ import annotations

import stat
from pathlib import Path

from compose.certificate import own_certificate


def test_a_certificate_is_made_once_and_its_key_is_nobody_elses(tmp_path: Path) -> None:
    files = own_certificate(tmp_path / "c2pa")
    before = {path: path.read_bytes() for path in (files.chain, files.key, files.root)}
    assert own_certificate(tmp_path / "c2pa") == files
    assert {path: path.read_bytes() for path in before} == before
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in files.chain.parent.iterdir()) == ["chain.pem", "key.pem", "root.pem"]


def test_a_certificate_that_was_not_finished_is_made_again(tmp_path: Path) -> None:
    files = own_certificate(tmp_path)
    key = files.key.read_bytes()
    files.chain.unlink()
    assert own_certificate(tmp_path).key.read_bytes() != key
