from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.environment import InvalidSetting
from shared.redis_address import RedisAddress, RedisTls, read_redis_address
from shared.settings import Settings

TLS = RedisTls()
REDIS = (("redis", 6379),)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://redis", RedisAddress(hosts=REDIS)),
        ("redis://redis:1/2", RedisAddress(hosts=(("redis", 1),), db=2)),
        ("rediss://redis/", RedisAddress(hosts=REDIS, tls=TLS)),
        ("redis://[::1]:7/0", RedisAddress(hosts=(("::1", 7),))),
        ("redis://[fd00::1]", RedisAddress(hosts=(("fd00::1", 6379),))),
        ("redis://queue@redis", RedisAddress(hosts=REDIS, username="queue")),
        ("redis://:a%2Fb@redis", RedisAddress(hosts=REDIS, password="a/b")),
        ("redis://q:a/b?c#d@e:f@redis/3", RedisAddress(hosts=REDIS, username="q", password="a/b?c#d@e:f", db=3)),
        ("unix:///run/redis.sock?db=4", RedisAddress(path="/run/redis.sock", db=4)),
        ("unix://q:w@/run/redis.sock", RedisAddress(path="/run/redis.sock", username="q", password="w")),
        ("sentinel://a,b:1/main", RedisAddress(hosts=(("a", 26_379), ("b", 1)), service="main")),
        (
            "sentinels://:w@[::1]/main/5",
            RedisAddress(hosts=(("::1", 26_379),), service="main", db=5, password="w", tls=TLS),
        ),
    ],
)
def test_an_address_is_read(url: str, address: RedisAddress) -> None:
    read = read_redis_address(url)
    assert read == address
    assert read_redis_address(read.full_url) == read


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_password_may_have_any_character(password: str) -> None:
    address = RedisAddress(hosts=REDIS, username="queue", password=password)
    assert read_redis_address(address.full_url) == address
    assert read_redis_address("redis://queue@redis", password=password) == address
    assert "password" not in repr(address)
    assert read_redis_address(address.url).password == ""


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"redis://:{SECRET}/redis:6379", "names no host"),
        (f"redis://user:{SECRET}", "has a port that is not a number"),
        (f"redis://redis:6379/{SECRET}", "has a database that is not a number"),
        (f"http://:{SECRET}@redis", "is not an address of Redis"),
        (SECRET, "is not an address of Redis"),
        (f"redis://:{SECRET}@redis:70000", "has a port that is not between 1 and 65535"),
        (f"redis://:{SECRET}@::1", "has an IPv6 address without brackets"),
        (f"redis://:{SECRET}@redis?ssl_cert_reqs=none", "TROUPE_REDIS_TLS_"),
        (f"redis://:{SECRET}@one,two", "names more than one host"),
        (f"sentinel://:{SECRET}@one,two", "names no service"),
        (f"unix://:{SECRET}@run/redis.sock", "names no socket"),
    ],
)
@pytest.mark.parametrize("name", ["TROUPE_REDIS_URL", "TROUPE_BROKER_URL"])
def test_a_wrong_address_is_told_in_one_line_without_its_password(
    name: str, url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(InvalidSetting) as wrong:
        Settings.read()
    line = str(wrong.value)
    assert line.startswith(f"{name}: ")
    assert words in line
    assert "\n" not in line
    assert SECRET not in line


def test_an_address_with_a_password_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(Settings(redis_url=f"redis://:{SECRET}@redis"))
