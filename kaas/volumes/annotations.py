"""What a claim's annotations ask for, read strictly: every fault is named at once, with the way out. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

from kaas.loader import address, filters, paths, rate, shards
from kaas.loader.address import Address, Scheme
from kaas.volumes import terms

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

_SECRET: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_NAME_LENGTH: Final = 253  # k8s.io/apimachinery, DNS-1123 subdomain
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_OWNER: Final = re.compile(r"(\d{1,10}):(\d{1,10})(?::(0?[0-7]{3}))?")
_LARGEST_ID: Final = 2**31 - 1  # k8s.io/kubernetes/pkg/apis/core/validation, runAsUser
_SHORTEST, _LONGEST = 60, 30 * 86400
_SHOWN: Final = 80


class Verify(StrEnum):
    """How what was loaded is compared with the source."""

    AUTO = "auto"
    SIZE = "size"
    OFF = "off"


class Cache(StrEnum):
    """Whether volumes are born from a snapshot of the same data."""

    NONE = "none"
    SNAPSHOT = "snapshot"


class Bind(StrEnum):
    """Who decides where a volume of a WaitForFirstConsumer class is."""

    WAIT = "wait"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom files belong to. mode: of files, octal digits as written; empty for the default."""

    uid: int
    gid: int
    mode: str = ""

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}" + (f":{self.mode}" if self.mode else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one annotation. The message quotes its value, without what may be secret in it."""

    annotation: str
    message: str

    def __str__(self) -> str:
        return f"{self.annotation}: {self.message}"


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be loaded. path: below the volume's root, "" for the root. id: as written, "" when it was not.

    max_rate: bytes a second of all Pods together, None for no limit. timeout: seconds for all attempts together, None
    for the controller's default.
    """

    source: Address
    path: str = ""
    credentials: str = ""
    service_account: str = ""
    endpoint: str = ""
    region: str = ""
    include: str = ""
    exclude: str = ""
    id: str = ""
    delete: bool = False
    verify: Verify = Verify.AUTO
    wait: bool = True
    cache: Cache = Cache.NONE
    bind: Bind = Bind.WAIT
    owner: Owner | None = None
    requester_pays: bool = False
    shards: int = 1
    max_rate: int | None = None
    timeout: int | None = None

    def digest(self) -> str:
        """Of all that decides what a load does: when it changes while a load runs, the load begins anew."""
        kept = {f.name: str(getattr(self, f.name)) for f in fields(self) if f.name not in _NOT_OF_A_LOAD}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


_NOT_OF_A_LOAD: Final = frozenset({"id", "wait", "cache", "bind", "max_rate"})


@dataclass(frozen=True, slots=True)
class Request:
    """What a claim asks for: a spec, or faults; neither for a claim that is none of ours.

    id: `load-id` as written, "" when it was not, None when it is wrong. waits: whether Pods that mount the claim wait
    for its data.
    """

    spec: Spec | None = None
    faults: tuple[Fault, ...] = ()
    id: str | None = ""
    waits: bool = False

    @property
    def concerns(self) -> bool:
        """Whether the claim is to be loaded, or was meant to be."""
        return self.spec is not None or bool(self.faults)


def request_of(annotations: Mapping[str, str]) -> Request:
    """What a claim's annotations ask for. Without `load-source` it is nothing, unless a name is misspelt."""
    ours = {k: v for k, v in annotations.items() if k.startswith(terms.PREFIX)}
    unknown = [_unknown(name) for name in sorted(ours.keys() - _KNOWN)]
    if terms.SOURCE not in ours:
        return Request(faults=tuple(unknown), waits=bool(unknown) and ours.get(terms.WAIT) != "false")
    reading = _Reading(ours, unknown)
    spec = _spec(reading)
    waits = ours.get(terms.WAIT) != "false"
    if spec is None or reading.faults:
        known = None if any(f.annotation == terms.ID for f in reading.faults) else ours.get(terms.ID, "")
        return Request(faults=tuple(reading.faults), id=known, waits=waits)
    return Request(spec, id=spec.id, waits=waits)


class _Reading:
    """Reads one annotation after the other and keeps what is wrong."""

    def __init__(self, values: Mapping[str, str], faults: Iterable[Fault]) -> None:
        self._values = values
        self.faults = list(faults)

    def get(self, name: str, default: T, read: Callable[[str], T]) -> T:
        """The value, read; the default when it is not there or wrong."""
        raw = self._values.get(name)
        if raw is None:
            return default
        try:
            return read(raw)
        except ValueError as wrong:
            self.faults.append(Fault(name, str(wrong)))
            return default

    def refuse(self, name: str, message: str) -> None:
        """An annotation is wrong beside others."""
        self.faults.append(Fault(name, message))

    def has(self, name: str) -> bool:
        """Whether it is written."""
        return name in self._values


def _spec(reading: _Reading) -> Spec | None:
    source = reading.get(terms.SOURCE, None, _source)
    found = Spec(
        source or _NOWHERE,
        path=reading.get(terms.PATH, "", _path),
        credentials=reading.get(terms.CREDENTIALS, "", _object_name),
        service_account=reading.get(terms.SERVICE_ACCOUNT, "", _object_name),
        endpoint=reading.get(terms.ENDPOINT, "", _endpoint),
        region=reading.get(terms.REGION, "", _region),
        include=reading.get(terms.INCLUDE, "", _globs),
        exclude=reading.get(terms.EXCLUDE, "", _globs),
        id=reading.get(terms.ID, "", _id),
        delete=reading.get(terms.DELETE, False, _flag),
        verify=reading.get(terms.VERIFY, Verify.AUTO, _one_of(Verify)),
        wait=reading.get(terms.WAIT, True, _flag),
        cache=reading.get(terms.CACHE, Cache.NONE, _one_of(Cache)),
        bind=reading.get(terms.BIND, Bind.WAIT, _one_of(Bind)),
        owner=reading.get(terms.OWNER, None, _owner),
        requester_pays=reading.get(terms.REQUESTER_PAYS, False, _flag),
        shards=reading.get(terms.SHARDS, 1, _shards),
        max_rate=reading.get(terms.MAX_RATE, None, rate.parse),
        timeout=reading.get(terms.TIMEOUT, None, _timeout),
    )
    if source is not None:
        _check_together(found, reading)
    return found if source is not None else None


_NOWHERE: Final = Address(Scheme.S3, "", "")


def _check_together(spec: Spec, reading: _Reading) -> None:
    """What one source can have and another cannot."""
    scheme = spec.source.scheme
    if scheme is not Scheme.S3:
        for name in (terms.REGION, terms.REQUESTER_PAYS):
            if reading.has(name) and not (name == terms.REQUESTER_PAYS and scheme is Scheme.GCS):
                reading.refuse(name, f"means nothing for a source of {scheme}://: remove it")
    if reading.has(terms.ENDPOINT) and scheme in {Scheme.HTTP, Scheme.HTTPS}:
        reading.refuse(terms.ENDPOINT, f"means nothing for a source of {scheme}://, which names its host: remove it")
    if spec.credentials and scheme in {Scheme.HTTP, Scheme.HTTPS, Scheme.HF}:
        reading.refuse(terms.CREDENTIALS, f"sources of {scheme}:// are loaded without credentials: remove it")
    if spec.requester_pays and not spec.credentials:
        reading.refuse(terms.REQUESTER_PAYS, f"nobody is billed for anonymous requests: add {terms.CREDENTIALS}")
    _check_pods(spec, reading)


def _check_pods(spec: Spec, reading: _Reading) -> None:
    if spec.shards > 1 and not spec.source.directory:
        reading.refuse(terms.SHARDS, "one object is loaded by one Pod: remove it")
    if spec.max_rate is not None and spec.max_rate < rate.SMALLEST * spec.shards:
        least = f"{rate.SMALLEST * spec.shards // 1024}Ki"
        reading.refuse(terms.MAX_RATE, f"{spec.shards} Pods share it, and each needs 64Ki: write at least {least}")


def _unknown(name: str) -> Fault:
    near = get_close_matches(name, _KNOWN, n=1, cutoff=0.0)
    return Fault(name, f"is not known: did you mean {near[0]}? Correct or remove it")


def _source(text: str) -> Address | None:
    return address.parse(text)


def _path(text: str) -> str:
    body = text.strip("/")
    if not body:
        return ""
    try:
        return str(paths.relative(body))
    except paths.Unsafe as wrong:
        raise ValueError(f"{text!r} {wrong.reason}: write a directory of the volume, as /models") from None


def _object_name(text: str) -> str:
    if len(text) > _NAME_LENGTH or not _SECRET.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is no name of an object: lower-case letters, digits, dots and hyphens")
    return text


def _endpoint(text: str) -> str:
    way_out = "write it like https://s3.example.com"
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError(f"is no URL: {way_out}") from None
    if url.username is not None or url.password is not None:
        raise ValueError("has a user or password in it, which everybody can read: remove them")
    if url.scheme not in {"https", "http"} or not url.hostname:
        raise ValueError(f"{text[:_SHOWN]!r} is no http or https URL: {way_out}")
    if "?" in text or "#" in text:
        raise ValueError("has a query or fragment: remove everything from `?` or `#` on")
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is no region: write one like eu-central-1")
    return text


def _globs(text: str) -> str:
    filters.Filter.parse([text])
    if not text.strip(", "):
        raise ValueError("has no pattern in it: remove it, or write globs with commas between")
    return text


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("has to be 1 to 128 printable ASCII characters without blanks")
    return text


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f'{text[:_SHOWN]!r} is neither "true" nor "false"')
    return text == "true"


def _one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    def read(text: str) -> Choice:
        if text not in set(kind):
            raise ValueError(f"{text[:_SHOWN]!r} is none of {', '.join(kind)}")
        return kind(text)

    return read


def _owner(text: str) -> Owner:
    found = _OWNER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:_SHOWN]!r} is no owner: write uid:gid or uid:gid:mode, as 1000:100:0640")
    owner = Owner(int(found[1]), int(found[2]), found[3] or "")
    if owner.uid == 0 or owner.gid == 0:
        raise ValueError("files of root need a loader that is root, which there is not: name another uid and gid")
    if max(owner.uid, owner.gid) > _LARGEST_ID:
        raise ValueError(f"ids go up to {_LARGEST_ID}")
    return owner


def _shards(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= shards.MOST:
        raise ValueError(f"{text[:_SHOWN]!r} is no number from 1 to {shards.MOST}")
    return int(text)


def _timeout(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not _SHORTEST <= int(text) <= _LONGEST:
        raise ValueError(f"{text[:_SHOWN]!r} is no number of seconds from {_SHORTEST} to {_LONGEST}")
    return int(text)


_KNOWN: Final = (
    *(
        terms.SOURCE,
        terms.PATH,
        terms.CREDENTIALS,
        terms.SERVICE_ACCOUNT,
        terms.ENDPOINT,
        terms.REGION,
        terms.INCLUDE,
    ),
    *(terms.EXCLUDE, terms.ID, terms.DELETE, terms.VERIFY, terms.WAIT, terms.CACHE, terms.BIND, terms.OWNER),
    *(terms.REQUESTER_PAYS, terms.SHARDS, terms.MAX_RATE, terms.TIMEOUT),
)
