"""Addresses of S3 services: what one may look like, and where it may lead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kaas.credentials.secrets.finding import DENY, WARN, Rule
from kaas.credentials.secrets.policy import Policy, is_host, is_loopback

_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A value that should be a URL, and who says where it may lead."""

    value: str
    policy: Policy

    @property
    def url(self) -> SplitResult | None:
        """Its parts; None when it has none that every client understands alike."""
        if not _CHARACTERS.fullmatch(self.value):
            return None
        try:
            parts = urlsplit(self.value)
            _ = parts.port  # is parsed when it is asked for
        except ValueError:
            return None
        return parts if parts.scheme in ("http", "https") and parts.hostname else None

    @property
    def host(self) -> str:
        """Name or address, without a dot at the end; empty when there is none."""
        url = self.url
        return (url.hostname or "").rstrip(".") if url else ""


def _has_userinfo(endpoint: Endpoint) -> bool:
    url = endpoint.url
    return bool(url and "@" in url.netloc)


def _has_more(endpoint: Endpoint) -> bool:
    return endpoint.url is not None and any(c in endpoint.value for c in "?#")


def _is_unclear(endpoint: Endpoint) -> bool:
    return endpoint.url is not None and not is_host(endpoint.host)


def _is_forbidden(endpoint: Endpoint) -> bool:
    return is_host(endpoint.host) and not endpoint.policy.admits(endpoint.host)


def endpoint_rules(key: str) -> tuple[Rule[Endpoint], ...]:
    """Rules for the key that holds an endpoint."""
    rule = _of(key)
    return (
        rule("url", DENY, "is no absolute http or https URL", "write it like https://s3.example.com", _is_no_url),
        rule(
            "userinfo",
            DENY,
            "has a user or a password in it",
            "remove what stands before `@`: keys have their own place",
            _has_userinfo,
        ),
        rule("query", DENY, "has a query or a fragment", "remove everything from `?` or `#` on", _has_more),
        rule(
            "host",
            DENY,
            "has a host that is neither a name nor an address in its usual form",
            "write the DNS name, or the address as 192.0.2.1 or [2001:db8::1]",
            _is_unclear,
        ),
        rule(
            "policy",
            DENY,
            "leads to a host that is not allowed here",
            "use the service's own name; metadata services and link-local addresses never are, and an administrator "
            "may have narrowed it further",
            _is_forbidden,
        ),
        rule("plain", WARN, "is not encrypted", "use https where the service has it", _is_plain),
        rule(
            "loopback",
            WARN,
            "leads back into the Pod itself",
            "right only for a proxy that runs beside the container",
            lambda e: is_host(e.host) and is_loopback(e.host),
        ),
    )


def _is_no_url(endpoint: Endpoint) -> bool:
    return bool(endpoint.value) and endpoint.url is None


def _is_plain(endpoint: Endpoint) -> bool:
    url = endpoint.url
    return bool(url and url.scheme == "http" and not is_loopback(endpoint.host))


def _of(key: str) -> Callable[..., Rule[Endpoint]]:
    prefix = "aws-" + key.removeprefix("AWS_").lower().replace("_", "-")
    return lambda name, severity, fault, way_out, broken: Rule(
        f"{prefix}-{name}", key, severity, fault, way_out, broken
    )
