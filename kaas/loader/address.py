"""Where to load from, as people write it: `s3://bucket/prefix/`, `gs://…`, `https://…`, `hf://…`. Pure.

What stands after the bucket of `s3://` and `gs://` is the key as the store has it: nothing is decoded. With `/` at its
end (or nothing) it is a directory, without it one object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

KEY_BYTES: Final = 1024
"""Longest key. Source: Amazon S3 user guide, naming objects; Cloud Storage, object name requirements."""
_S3_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_GCS_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,220})[a-z0-9]")
_LABEL: Final = 63
_IPV4: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)
_HF_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_HF_REVISION: Final = re.compile(r"[A-Za-z0-9._-]+(?:%2F[A-Za-z0-9._-]+)*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Scheme(StrEnum):
    """Kinds of sources."""

    S3 = "s3"
    GCS = "gs"
    HTTPS = "https"
    HTTP = "http"
    HF = "hf"


class AddressError(ValueError):
    """A source that cannot be read as one. The message names it without what may be secret, and the way out."""


@dataclass(frozen=True, slots=True)
class Address:
    """A source, taken apart.

    place: bucket; host and port; or `models/owner/name`, `datasets/…`, `spaces/…`. key: of an object, or a prefix that
    ends with `/`, or "" for all; of HTTP the path, percent-encoded as it was written. revision: of Hugging Face only.
    """

    scheme: Scheme
    place: str
    key: str
    revision: str = ""

    @property
    def directory(self) -> bool:
        """Whether it is all that is below a prefix, and not one object."""
        return not self.key or self.key.endswith("/")

    @property
    def name(self) -> str:
        """Name of the one object, as it is called in the destination."""
        last = self.key.rsplit("/", 1)[-1]
        return unquote(last, errors="surrogateescape") if self.scheme in {Scheme.HTTP, Scheme.HTTPS} else last

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        slash = "" if self.scheme in {Scheme.HTTP, Scheme.HTTPS} else "/"
        return f"{self.scheme}://{self.place}{revision}{slash}{self.key}"


def parse(text: str) -> Address:
    """The source that a text names; AddressError when it is none."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise AddressError(f"source {_shown(text)!r}: is no URL: write {_KINDS}")
    if _CONTROL.search(text) or text != text.strip():
        raise AddressError(f"source {_shown(text)!r}: has a blank or control character: remove it")
    read = _READERS.get(scheme)
    if read is None:
        raise AddressError(f"source {_shown(text)!r}: {scheme!r} is not known: write {_KINDS}")
    return read(text, rest)


_KINDS: Final = "s3://bucket/prefix/, gs://bucket/prefix/, https://host/file or hf://datasets/owner/name/"


def _shown(text: str) -> str:
    """A source without what may be secret: user and password, and all that follows a `?`."""
    scheme, separator, rest = text.partition("://")
    host, slash, path = re.split(r"[?]", rest, maxsplit=1)[0].partition("/")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}")


def _s3(text: str, rest: str) -> Address:
    bucket, key = _bucket_and_key(text, rest)
    if bucket.startswith("arn:"):
        raise AddressError(f"source {_shown(text)!r}: is an ARN: write the alias of the access point as bucket")
    if not _S3_BUCKET.fullmatch(bucket) or ".." in bucket or _IPV4.fullmatch(bucket):
        raise AddressError(
            f"source {_shown(text)!r}: bucket {bucket!r} is no name of a bucket: "
            "3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit at both ends"
        )
    if bucket.endswith("--x-s3"):
        raise AddressError(
            f"source {_shown(text)!r}: is a directory bucket, which has a protocol of its own: use another"
        )
    return Address(Scheme.S3, bucket, key)


def _gcs(text: str, rest: str) -> Address:
    bucket, key = _bucket_and_key(text, rest)
    labels = bucket.split(".")
    if not _GCS_BUCKET.fullmatch(bucket) or "" in labels or any(len(label) > _LABEL for label in labels):
        raise AddressError(
            f"source {_shown(text)!r}: bucket {bucket!r} is no name of a bucket: 3 to 63 lower-case letters, digits, "
            "hyphens and underscores (longer with dots between), a letter or digit at both ends"
        )
    return Address(Scheme.GCS, bucket, key)


def _bucket_and_key(text: str, rest: str) -> tuple[str, str]:
    """Bucket and key of what stands after `s3://`."""
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise AddressError(f"source {_shown(text)!r}: has a user before the bucket: credentials come from a Secret")
    if "?" in rest:
        raise AddressError(
            f"source {_shown(text)!r}: has a query: options have annotations and flags of their own; "
            "for a key with a question mark load its directory and include it by a pattern"
        )
    if len(key.encode("utf-8", "surrogateescape")) > KEY_BYTES:
        raise AddressError(f"source {_shown(text)!r}: the key is longer than {KEY_BYTES} bytes: no store has such one")
    return bucket, key


def _http(text: str, rest: str) -> Address:
    url = _split(text)
    if url.username is not None or url.password is not None:
        raise AddressError(f"source {_shown(text)!r}: has a user or password: everybody could read it; remove it")
    if "?" in text or "#" in text:
        raise AddressError(
            f"source {_shown(text)!r}: has a query or fragment: pre-signed URLs are secrets and cannot be named here; "
            "use s3:// or gs:// with credentials"
        )
    if url.path in {"", "/"} or url.path.endswith("/"):
        raise AddressError(f"source {_shown(text)!r}: is no file: HTTP has no directories; name one file")
    return Address(Scheme(url.scheme), _host(text, url, rest), url.path)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise AddressError(f"source {_shown(text)!r}: is no URL: {error}") from None
    return url


def _host(text: str, url: SplitResult, rest: str) -> str:
    host = url.hostname or ""
    if not _HOST.fullmatch(host) and ":" not in host:
        raise AddressError(f"source {_shown(text)!r}: host {host!r} is no name of a host or address: correct it")
    return rest.partition("/")[0].lower()


def _hf(text: str, rest: str) -> Address:
    if "?" in rest or "#" in rest:
        raise AddressError(
            f"source {_shown(text)!r}: has a query or fragment: write the revision as owner/name@REVISION"
        )
    parts = rest.split("/")
    kind = parts.pop(0) if parts[0] in {"models", "datasets", "spaces"} else "models"
    if len(parts) < 2:  # noqa: PLR2004 - owner and name
        raise AddressError(f"source {_shown(text)!r}: write hf://[models|datasets|spaces/]owner/name[@revision]/path")
    owner, (name, _, revision) = parts[0], parts[1].partition("@")
    for what, value in {"owner": owner, "name": name}.items():
        if not _HF_NAME.fullmatch(value) or ".." in value or "--" in value:
            raise AddressError(
                f"source {_shown(text)!r}: {what} {value!r} is none: letters, digits, dots, hyphens and underscores"
            )
    if "@" in parts[1] and not _HF_REVISION.fullmatch(revision):
        raise AddressError(
            f"source {_shown(text)!r}: revision {revision!r} is none: a branch, tag or commit, with %2F for a slash"
        )
    return Address(Scheme.HF, f"{kind}/{owner}/{name}", "/".join(parts[2:]), revision)


_READERS: Final = {"s3": _s3, "gs": _gcs, "https": _http, "http": _http, "hf": _hf}
