from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.addresses import Destinations
from shared.settings import Settings

PUBLIC = Destinations.read("https:443,https:8443", "")

PRIVATE = {
    "unspecified": ["0.0.0.0", "::"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "shared by carriers": ["100.64.0.1", "100.127.255.255"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "100::1", "5f00::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1"],
    "6to4 and Teredo": ["2002:7f00:1::", "2002:808:808::1", "192.88.99.1", "2001:0:53aa:64c::1"],
}


@pytest.mark.parametrize(("kind", "address"), [(kind, one) for kind, many in PRIVATE.items() for one in many])
def test_an_address_that_is_not_public_is_refused(kind: str, address: str) -> None:
    assert not PUBLIC.reaches(address), kind


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07::1", "2a00:1450:4001::200e"])
def test_a_public_address_is_reached(address: str) -> None:
    assert PUBLIC.reaches(address)


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_a_private_address_opens_it(address: IPv4Address) -> None:
    number = int(address)
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, number):
        assert not PUBLIC.reaches(str(IPv6Address(wrapped)))


def test_a_network_that_is_allowed_opens_itself_and_nothing_else() -> None:
    allowed = Destinations.read("", "10.1.0.0/16, ::1/128")
    assert allowed.reaches("10.1.2.3")
    assert allowed.reaches("::1")
    assert not allowed.reaches("10.2.0.1")
    assert not allowed.reaches("127.0.0.1")
    assert not allowed.reaches("::ffff:10.1.2.3")


def test_schemes_and_ports_are_what_the_settings_say() -> None:
    assert PUBLIC.takes("https", 443)
    assert PUBLIC.takes("https", 8443)
    assert not PUBLIC.takes("https", 22)
    assert not PUBLIC.takes("http", 443)
    anywhere = Destinations.read("http:*,https:443", "")
    assert anywhere.takes("http", 12_345)
    assert not anywhere.takes("https", 12_345)


@pytest.mark.parametrize("words", ["ftp:21", "https", "https:", "https:x", "https:443;http:80"])
def test_origins_that_cannot_be_read_are_said_at_start(words: str) -> None:
    with pytest.raises(ValidationError, match="webhook_origins"):
        Settings.model_validate({"webhook_origins": words})


@pytest.mark.parametrize("words", ["10.0.0.1/8", "everywhere", "10.0.0.0/33"])
def test_networks_that_cannot_be_read_are_said_at_start(words: str) -> None:
    with pytest.raises(ValidationError, match="webhook_networks"):
        Settings.model_validate({"webhook_networks": words})
