"""Bundles by name: where their files are, and what says that they changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.errors import BundleError
from shared.settings import Settings
from worker.models.catalog import recipe_of


def laid_out(folder: Path) -> Path:
    """A bundle's folder with something in every place."""
    for file in ("sdxl/model_index.json", "identitynet/config.json", "dino/config.json", "faces/models/pack/a.onnx"):
        path = folder / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights of " + file.encode())
    (folder / "ip-adapter.bin").write_bytes(b"weights")
    return folder


def recipe_at(folder: Path, bundle: str = "sdxl") -> str:
    return recipe_of(Settings(bundle=bundle, bundle_folder=str(folder))).fingerprint()


def test_a_bundle_folder_and_the_published_bundle_are_found_by_setting(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "mine")
    published = recipe_of(Settings(bundle="sdxl", bundle_folder=str(folder)))
    own = recipe_of(Settings(bundle=str(folder)))
    assert published.path("sdxl") == own.path("sdxl") == folder / "sdxl"
    assert published.pack == own.pack == "pack"
    assert published.pen.radius_px == 10
    assert recipe_of(Settings(bundle="mini")).pen.radius_px == 3


def test_other_weights_are_another_bundle_and_a_copy_is_the_same_one(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "one")
    copy = Path(shutil.copytree(folder, tmp_path / "two"))
    before = recipe_at(folder)
    assert before.startswith("sdxl@")
    assert recipe_at(copy) == before
    (copy / "ip-adapter.bin").write_bytes(b"Weights")
    assert recipe_at(copy) != before


@pytest.mark.parametrize("number", [0, 2])
def test_there_must_be_one_pack_of_faces(tmp_path: Path, number: int) -> None:
    folder = laid_out(tmp_path / "mine")
    shutil.rmtree(folder / "faces" / "models")
    for pack in range(number):
        (folder / "faces" / "models" / str(pack)).mkdir(parents=True)
    with pytest.raises(BundleError, match="one insightface model pack"):
        recipe_at(folder)


def test_a_folder_that_is_not_there_or_not_said_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="TROUPE_BUNDLE_FOLDER"):
        recipe_of(Settings(bundle="sdxl"))
    with pytest.raises(BundleError, match="nowhere"):
        recipe_of(Settings(bundle=str(tmp_path / "nowhere")))
