"""The one reader of Redis addresses: what TROUPE_REDIS_URL and TROUPE_BROKER_URL say, for every client alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

_PORT, _SENTINEL_PORT = 6379, 26_379
_MOST_PORT = 65_535
_TLS = {"redis": False, "rediss": True, "sentinel": False, "sentinels": True}
_FORMS = "redis://HOST:PORT/DB, rediss:// (TLS), unix:///PATH, sentinel://HOST:PORT,HOST:PORT/SERVICE or sentinels://"


@dataclass(frozen=True, kw_only=True)
class RedisTls:
    """How a TLS connection is made. Paths are PEM files; empty: the system's authorities, and no certificate of ours.

    verify: refuse a server whose certificate is not signed by these authorities for this host.
    """

    authorities: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True


@dataclass(frozen=True, kw_only=True)
class RedisAddress:
    """One Redis server, or the Sentinels that name one.

    hosts: (host, port) of the server, or of the Sentinels where `service` is set; empty for a unix socket.
    path: of a unix socket. service: name of the primary at the Sentinels. tls: None for a plain connection.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    tls: RedisTls | None = None

    @property
    def place(self) -> str:
        """Where it is, for people: never a name or a password."""
        if self.path:
            return self.path
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts} ({self.service})" if self.service else hosts

    @property
    def url(self) -> str:
        """The address as a URL without its password."""
        return replace(self, password="").full_url

    @property
    def full_url(self) -> str:
        """The address as a URL with its password: not for logs."""
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        user = f"{quote(self.username, safe='')}{secret}@" if self.username or secret else ""
        if self.path:
            return f"unix://{user}{self.path}?db={self.db}"
        scheme = ("sentinel" if self.service else "redis") + ("s" if self.tls else "")
        service = f"{quote(self.service, safe='')}/" if self.service else ""
        return f"{scheme}://{user}{self.place.partition(' ')[0]}/{service}{self.db}"


def is_redis(url: str) -> bool:
    """Whether an address is one of Redis: Celery knows other brokers, too."""
    return _scheme(url) in {*_TLS, "unix"}


def read_redis_address(
    url: str, *, password: str = "", sentinel_password: str = "", tls: RedisTls | None = None
) -> RedisAddress:
    """The server that a URL names. password: of an address that has none. tls: for the schemes that ask for it.

    A password in the URL may have any character; `%` and two digits stand for a byte. Raises ValueError with one line
    that shows no part of it.
    """
    scheme, rest = _scheme(url), url.partition("://")[2]
    if scheme != "unix" and scheme not in _TLS:
        message = f"is not an address of Redis: {_FORMS}"
        raise ValueError(message)
    user, rest = _user(rest, scheme)
    name, has_password, given = user.partition(":")
    secrets: dict[str, Any] = {
        "username": unquote(name),
        "password": unquote(given) if has_password else password,
        "sentinel_password": sentinel_password,
    }
    rest, _, query = rest.partition("?")
    db = _db_of(query)
    if scheme == "unix":
        if not rest.startswith("/"):
            message = "names no socket: unix:///PATH"
            raise ValueError(message)
        return RedisAddress(path=unquote(rest), db=db or 0, **secrets)
    hosts, _, path = rest.partition("/")
    service = ""
    if scheme.startswith("sentinel"):
        service, _, path = path.partition("/")
        if not service:
            message = "names no service: sentinel://HOST:PORT,HOST:PORT/SERVICE"
            raise ValueError(message)
    elif "," in hosts:
        message = "names more than one host: sentinel:// does that"
        raise ValueError(message)
    port = _SENTINEL_PORT if service else _PORT
    return RedisAddress(
        hosts=tuple(_host(part, port) for part in hosts.split(",")),
        service=unquote(service),
        db=_number(path.rstrip("/"), "database") if path.rstrip("/") else db or 0,
        tls=(tls or RedisTls()) if _TLS[scheme] else None,
        **secrets,
    )


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def _user(rest: str, scheme: str) -> tuple[str, str]:
    """Name and password, and what follows. The last `@` parts them: hosts and databases have none."""
    if scheme == "unix" and rest.startswith("/"):
        return "", rest
    user, _, following = rest.rpartition("@")
    return user, following


def _host(part: str, port: int) -> tuple[str, int]:
    host, bracket, tail = part.partition("]")
    if bracket:
        host = host.removeprefix("[")
        return host, _port(tail[1:], port) if tail.startswith(":") else port
    if part.count(":") > 1:
        message = "has an IPv6 address without brackets: redis://[::1]:6379/0"
        raise ValueError(message)
    host, _, digits = part.partition(":")
    if not host:
        message = "names no host"
        raise ValueError(message)
    return host, _port(digits, port)


def _port(digits: str, default: int) -> int:
    number = _number(digits, "port") if digits else default
    if not 0 < number <= _MOST_PORT:
        message = f"has a port that is not between 1 and {_MOST_PORT}"
        raise ValueError(message)
    return number


def _db_of(query: str) -> int | None:
    if not query:
        return None
    name, _, value = query.partition("=")
    if name != "db":
        message = "has an option, and only ?db=N is known: TLS has settings of its own (TROUPE_REDIS_TLS_...)"
        raise ValueError(message)
    return _number(value, "database")


def _number(digits: str, what: str) -> int:
    # Without the text: where an address is cut in the wrong place, it may be a part of the password.
    if not (digits.isascii() and digits.isdigit()):
        message = f"has a {what} that is not a number (is a `/`, `#` or `@` missing before it?)"
        raise ValueError(message)
    return int(digits)
