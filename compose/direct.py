"""Servers of this machine are reached without a proxy, whatever HTTP_PROXY or ALL_PROXY of the shell say."""

from __future__ import annotations

from collections.abc import Mapping

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def without_proxy(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """NO_PROXY of this environment, extended by the machine itself and by these hosts.

    In both spellings: libraries read the one or the other first.
    """
    named = [environment.get("NO_PROXY", ""), environment.get("no_proxy", ""), *_LOOPBACK, *hosts]
    value = ",".join(dict.fromkeys(word for word in named if word))
    return {"NO_PROXY": value, "no_proxy": value}
