"""Bundles by name: where their files are, and what says that they changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.errors import BundleError
from shared.settings import Settings
from worker.models.catalog import bundle_spec_of

MIB = 2**20
# 640 x 640 numbers of two bytes.
SMALL_ATTENTION_BYTES = 819_200


def laid_out(folder: Path) -> Path:
    """A bundle's folder with something in every place."""
    for file in ("sdxl/model_index.json", "identitynet/config.json", "dino/config.json", "faces/models/pack/a.onnx"):
        path = folder / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights of " + file.encode())
    (folder / "ip-adapter.bin").write_bytes(b"weights")
    return folder


def recipe_at(folder: Path, bundle: str = "sdxl") -> str:
    return bundle_spec_of(Settings(bundle=bundle, bundle_folder=str(folder))).fingerprint()


def test_a_bundle_folder_and_the_published_bundle_are_found_by_setting(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "mine")
    published = bundle_spec_of(Settings(bundle="sdxl", bundle_folder=str(folder)))
    own = bundle_spec_of(Settings(bundle=str(folder)))
    assert published.path("sdxl") == own.path("sdxl") == folder / "sdxl"
    assert published.pack == own.pack == "pack"
    assert published.keypoint_style.radius_px == 10
    assert bundle_spec_of(Settings(bundle="mini")).keypoint_style.radius_px == 3


def test_other_weights_are_another_bundle_and_a_copy_is_the_same_one(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "one")
    copy = Path(shutil.copytree(folder, tmp_path / "two"))
    before = recipe_at(folder)
    assert before.startswith("sdxl@")
    assert recipe_at(copy) == before
    (copy / "ip-adapter.bin").write_bytes(b"Weights")
    assert recipe_at(copy) != before


@pytest.mark.parametrize("at_mib", [0.1, 1.2, 7.0, 39.3])
def test_a_tensor_that_differs_anywhere_in_a_large_file_makes_another_bundle(tmp_path: Path, at_mib: float) -> None:
    folder = laid_out(tmp_path / "one")
    weights = folder / "sdxl" / "unet.safetensors"
    with weights.open("wb") as file:
        file.truncate(40 * MIB)
    before = recipe_at(folder)
    with weights.open("r+b") as file:
        file.seek(int(at_mib * MIB))
        file.write(b"1" * SMALL_ATTENTION_BYTES)
        file.truncate(40 * MIB)
    assert recipe_at(folder) != before


def test_a_base_of_another_name_or_in_another_place_makes_another_bundle(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for path in (one, two):
        path.write_bytes(b"weights")
    choices = [{}, {"base": str(one)}, {"base": str(two)}, {"vae": str(one)}]
    assert len({bundle_spec_of(Settings.model_validate(choice)).fingerprint() for choice in choices}) == len(choices)


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
        bundle_spec_of(Settings(bundle="sdxl"))
    with pytest.raises(BundleError, match="nowhere"):
        bundle_spec_of(Settings(bundle=str(tmp_path / "nowhere")))
