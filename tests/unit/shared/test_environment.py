from __future__ import annotations

from pathlib import Path

import pytest

from shared.environment import EXIT_CONFIG, InvalidSetting, check_names, values_from_files
from shared.settings import Settings


def test_a_secret_comes_from_the_file_that_its_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush hush\n")
    monkeypatch.setenv("TROUPE_S3_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert Settings.read().s3_secret_key.get_secret_value() == "hush hush"


def test_any_setting_may_come_from_a_file_and_is_checked_like_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "role").write_text("director")
    monkeypatch.setenv("TROUPE_ROLE_FILE", str(tmp_path / "role"))
    with pytest.raises(InvalidSetting, match=r"TROUPE_ROLE: Input should be 'detection'.*, not 'director'"):
        Settings.read()


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidSetting, match="TROUPE_ROLE_FILE names /nowhere, which cannot be read: No such file"):
        values_from_files({"TROUPE_ROLE_FILE": "/nowhere"}, ["role"])


def test_a_setting_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="TROUPE_ROLE and TROUPE_ROLE_FILE are both set"):
        values_from_files({"TROUPE_ROLE": "all", "TROUPE_ROLE_FILE": "/a"}, ["role"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TROUPE_S3_SECRETKEY", "did you mean TROUPE_S3_SECRET_KEY?"),
        ("TROUPE_BUCKET", "did you mean TROUPE_S3_BUCKET?"),
        ("TROUPE_REDIS_URL_FIEL", "did you mean TROUPE_REDIS_URL_FILE?"),
        ("TROUPE_COLOUR_OF_THE_CURTAIN", "compose/README.md lists all settings"),
    ],
)
def test_a_name_that_no_setting_has_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{name} is not a setting: ") as wrong:
        check_names({name: "1"}, Settings.model_fields)
    assert hint in str(wrong.value)


def test_what_the_command_line_reads_is_no_slip() -> None:
    check_names({"TROUPE_URL": "http://here", "TROUPE_KEY": "k", "PATH": "/bin"}, Settings.model_fields)


def test_a_process_ends_with_one_line_that_does_not_show_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TROUPE_LEASE_S", "soon")
    with pytest.raises(SystemExit) as ended:
        Settings.read_or_exit()
    assert ended.value.code == EXIT_CONFIG
    assert capsys.readouterr().err.startswith("troupe: TROUPE_LEASE_S: Input should be a valid number")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2F@redis:6379/0"),
        ("rediss://queue@redis:6380/1", "rediss://queue:p%40ss%2F@redis:6380/1"),
        ("redis://:own@redis:6379/0", "redis://:own@redis:6379/0"),
        ("unix:///run/redis.sock", "unix://:p%40ss%2F@/run/redis.sock?db=0"),
    ],
)
def test_the_password_goes_into_an_address_that_has_none(url: str, whole: str) -> None:
    settings = Settings.model_validate({"redis_url": url, "redis_password": "p@ss/"})
    assert settings.redis_address == settings.broker_address
    assert settings.redis_address.full_url == whole
    assert "p@ss" not in repr(settings)
