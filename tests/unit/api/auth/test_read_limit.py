"""Looks are counted by the process that answers them."""

from __future__ import annotations

from api.auth.read_limit import ReadCount, ReadLimit


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def told(look: ReadCount) -> str:
    return dict(look.headers)[b"ratelimit"].decode()


def test_a_tenant_has_a_burst_and_then_its_rate_and_no_other_tenant_feels_it() -> None:
    clock = Clock()
    read_limit = ReadLimit(2, clock)
    burst = [read_limit.count("busy") for _ in range(20)]
    assert {look.wait_s for look in burst} == {0}
    assert [told(look) for look in burst[:3]] == ['"reads";r=19;t=1', '"reads";r=18;t=1', '"reads";r=17;t=2']
    over = read_limit.count("busy")
    assert (over.wait_s, told(over)) == (1, '"reads";r=0;t=10')
    assert dict(over.headers)[b"ratelimit-policy"] == b'"reads";q=20;w=10'
    assert told(read_limit.count("calm")) == '"reads";r=19;t=1'
    clock.now_s += 1
    assert [read_limit.count("busy").wait_s for _ in range(3)] == [0, 0, 1]
    clock.now_s += 3600
    assert told(read_limit.count("busy")) == '"reads";r=19;t=1'


def test_tenants_who_are_quiet_are_forgotten() -> None:
    clock = Clock()
    read_limit = ReadLimit(1, clock)
    for number in range(10_000):
        read_limit.count(f"t{number}")
    clock.now_s += 60
    read_limit.count("the next")
    assert len(read_limit._empty_s) == 1


def test_without_a_rate_there_is_no_limit() -> None:
    assert not ReadLimit(0, Clock()).is_enabled
