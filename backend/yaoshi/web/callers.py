"""Who calls: the address behind proxies, the language, and whether development mode may answer at all."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from yaoshi.core import random
from yaoshi.core.types import SHARED_SOURCE, Caller

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_HOPS = 32
_FORWARDING = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_REAL_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_SERVER",
)
_LOOPBACK_NAMES = {"localhost", "localhost.localdomain", "ip6-localhost"}
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]*)', re.IGNORECASE)
_UNKNOWN = "unknown"
_OLD_PROTOCOLS = ("HTTP/1.0", "HTTP/1", "HTTP/0.9")  # granian spells 1.0 without its nought


class Callers:
    """Turns a WSGI environment into a Caller, trusting forwarded addresses only from `trusted` peers."""

    def __init__(self, trusted: Sequence[Network], default_language: str, *, development: bool) -> None:
        self._trusted, self._default_language, self._development = trusted, default_language, development
        # Told apart, not guarded: a random part for the process and a number, since drawing one costs each request.
        self._process, self._requests = random.token(9), count(1)

    def identify(self, environ: Mapping[str, Any]) -> Caller:
        """Return who calls. Never raises: what can't be read is judged by the peer, and limits stay on."""
        peer = _parsed(environ.get("REMOTE_ADDR", ""))
        address, shared = self._address(peer, environ)
        return Caller(
            address=_spelled(address),
            agent=environ.get("HTTP_USER_AGENT", "")[:512],
            language=_language(environ.get("HTTP_ACCEPT_LANGUAGE", "")[:200], self._default_language),
            request_id=f"{self._process}-{next(self._requests):x}",
            source=SHARED_SOURCE if shared else source_of(address),
            relaxed=self._development and peer is not None and peer.is_loopback,
            shared=shared,
        )

    def _address(self, peer: Address | None, environ: Mapping[str, Any]) -> tuple[Address | None, bool]:
        if peer is None:
            return None, False
        if not self._trusts(peer):
            # A proxy on this host that nobody named: one bucket for all who come through it, never the whole site.
            return peer, peer.is_loopback and any(name in environ for name in _FORWARDING[:5])
        found = {
            self._rightmost_untrusted(hops, peer)
            for hops in (_forwarded_hops(environ), _x_forwarded_hops(environ))
            if hops is not None
        }
        # A proxy manages one of the two headers; where both speak and differ, the client wrote one of them.
        return (found.pop() if len(found) == 1 else peer), False

    def _rightmost_untrusted(self, hops: list[str], peer: Address) -> Address:
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _parsed(hop)
            if address is None:
                return peer
            if not self._trusts(address):
                return address
            peer = address
        return peer

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def caller_of(request: Request) -> Caller:
    """Return the caller that the door identified for this request."""
    return cast(Caller, request.environ["yaoshi.caller"])


def parse_networks(listed: str) -> list[Network]:
    """Return the networks of a comma-separated list of addresses and networks. Raises ValueError."""
    return [ipaddress.ip_network(part.strip()) for part in listed.split(",") if part.strip()]


@lru_cache(maxsize=4096)
def source_of(address: Address | None) -> str:
    """Return the counter key of an address: IPv4 whole, IPv6 by its /64, one shared key for none."""
    if address is None:
        return _UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_local(environ: Mapping[str, Any], hosts: frozenset[str]) -> bool:
    """Return whether a request surely comes from a program on this machine, for this machine.

    A proxy on the same host betrays itself by a foreign name in Host, Origin, Referer or a forwarding header,
    by Via, or by HTTP/1.0. What stays open is a tunnel that adds nothing: the documents say so.
    """
    peer = _parsed(environ.get("REMOTE_ADDR", ""))
    old = environ.get("SERVER_PROTOCOL") in _OLD_PROTOCOLS
    if peer is None or not peer.is_loopback or "HTTP_VIA" in environ or old:
        return False
    if not _names_here(environ.get("HTTP_HOST", ""), hosts):
        return False
    pages = [environ[name] for name in ("HTTP_ORIGIN", "HTTP_REFERER") if environ.get(name)]
    if not all(_names_here(urlsplit(page).netloc if "://" in page else "", hosts) for page in pages):
        return False
    return all(_forwards_here(name, environ[name], hosts) for name in _FORWARDING if name in environ)


def is_loopback_origin(origin: str) -> bool:
    """Return whether a browser's Origin is a page served by this machine."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc or "," in origin)
    return parts.scheme in ("http", "https") and plain and _names_here(parts.netloc, frozenset())


def _forwards_here(name: str, value: str, hosts: frozenset[str]) -> bool:
    if name == "HTTP_FORWARDED":
        elements = [part.partition("=") for one in value.split(",") for part in one.split(";")]
        named = [text.strip().strip('"') for key, _, text in elements if key.strip().lower() in ("for", "host", "by")]
    else:
        named = value.split(",")
    return all(_names_here(one, hosts) for one in named)


@lru_cache(maxsize=256)
def _names_here(host: str, hosts: frozenset[str]) -> bool:
    host = host.strip()
    bare = _hop_host(host).lower().rstrip(".")
    address = _parsed(host)
    return bare in _LOOPBACK_NAMES or bare in hosts or (address is not None and address.is_loopback)


def _forwarded_hops(environ: Mapping[str, Any]) -> list[str] | None:
    """Return the `for` hops, leftmost first. Source: RFC 7239 §5.2."""
    value = environ.get("HTTP_FORWARDED")
    if value is None:
        return None
    hops = [_FOR.search(element) for element in value.split(",")]
    return [hop.group(1).strip('"') if hop else "" for hop in hops]


def _x_forwarded_hops(environ: Mapping[str, Any]) -> list[str] | None:
    value = environ.get("HTTP_X_FORWARDED_FOR")
    return None if value is None else value.split(",")


def _hop_host(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.rpartition(":")[0] if hop.count(":") == 1 else hop


@lru_cache(maxsize=4096)
def _spelled(address: Address | None) -> str:
    return str(address) if address else _UNKNOWN


@lru_cache(maxsize=4096)
def _parsed(hop: str) -> Address | None:
    try:
        address = ipaddress.ip_address(_hop_host(hop.strip()))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def _language(accepted: str, default: str) -> str:
    if not accepted:
        return default
    best = parse_accept_header(accepted, LanguageAccept).best_match(["zh-CN", "zh", "en"])
    return {"zh": "zh-CN", None: default}.get(best, best or default)
