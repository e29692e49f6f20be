from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.redis_address import read_redis_address
from shared.settings import Settings


def test_every_setting_has_a_default_and_a_description() -> None:
    assert all(not field.is_required() and field.description for field in Settings.model_fields.values())


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUPE_LEASE_S", "12.5")
    monkeypatch.setenv("TROUPE_ROLE", "detection")
    assert (Settings().lease_s, Settings().role) == (12.5, "detection")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().role = "detection"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["lease_s", "renew_every_s", "stall_s", "reap_every_s", "dispatch_every_s"])
def test_a_time_that_is_not_positive_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: 0})


def test_the_broker_is_the_redis_of_the_records_unless_it_has_its_own() -> None:
    assert Settings(redis_url="redis://one").broker_address == read_redis_address("redis://one")
    assert Settings(redis_url="redis://one", broker_url="redis://two").broker_address == read_redis_address(
        "redis://two"
    )


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Settings.model_validate({"s3_secret_key": "hush"}))


@pytest.mark.parametrize("text", ["seventeen letters", "ü" * 9, "two\nlines"])
def test_a_watermark_that_does_not_fit_is_refused(text: str) -> None:
    assert Settings(watermark="exactly 16 bytes").watermark == "exactly 16 bytes"
    with pytest.raises(ValidationError, match="at most 16 bytes"):
        Settings(watermark=text)


def test_a_lost_worker_is_noticed_in_time() -> None:
    defaults = Settings()
    assert defaults.renew_every_s * 3 <= defaults.lease_s
    assert defaults.lease_s + 2 * defaults.reap_every_s <= 45
