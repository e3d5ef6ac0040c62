"""Listing of an S3 bucket by botocore: every key as the store has it, and never short without an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from kaas.loader.source import Entry, Refused, Unreachable
from kaas.loader.sources.access import PAGE
from kaas.loader.sources.sums import of_etag

_OK: Final = 200
_RESULT: Final = "ListBucketResult"
_OF_OBJECT: Final = ("Key", "Size", "ETag")
_FIELDS: Final = frozenset({"IsTruncated", "NextContinuationToken", "KeyCount", "EncodingType"})


def request_of(bucket: str, prefix: str, token: str | None, *, requester_pays: bool) -> dict[str, Any]:
    """Parameters of one page. Keys are asked for encoded: XML cannot hold all that a key can."""
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE, "EncodingType": "url"}
    if token is not None:
        asked["ContinuationToken"] = token
    if requester_pays:
        asked["RequestPayer"] = "requester"
    return asked


def take_over(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the body of a page in place of botocore, which reads it by its model of S3 and takes ten times as long.

    A handler of botocore's event `before-parse`.
    """
    if response_dict["status_code"] != _OK:
        return
    try:
        root = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore reads it
    except ElementTree.ParseError:
        return  # botocore says what is wrong with it
    if _local(root.tag) == _RESULT:
        customized_response_dict |= _page(root)
        response_dict["body"] = b"<ListBucketResult/>"


def _page(root: ElementTree.Element) -> dict[str, Any]:
    """Fields of a page as botocore names them; values are text."""
    space = root.tag.removesuffix(_RESULT)
    tags = {name: space + name for name in _OF_OBJECT}
    found: dict[str, Any] = {name: child.text or "" for child in root if (name := _local(child.tag)) in _FIELDS}
    found["Contents"] = [_object(item, tags) for item in root.iterfind(f"{space}Contents")]
    if "IsTruncated" in found:
        found["IsTruncated"] = found["IsTruncated"] == "true"
    return found


def _object(item: ElementTree.Element, tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, tag in tags.items() if (text := item.findtext(tag)) is not None}


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@dataclass(slots=True)
class Pages:
    """Reads the answers of one listing, page after page, and notices when they cannot be true.

    what: bucket and prefix, for messages.
    """

    what: str
    prefix: str
    token: str | None = None
    ended: bool = False
    _seen: set[str] = field(default_factory=set)

    def take(self, answer: Mapping[str, Any]) -> list[Entry]:
        """Entries of a page; `token` and `ended` say how to go on."""
        if "IsTruncated" not in answer:
            raise Refused(f"{self.what}: what answers is no listing: correct the endpoint")
        contents: Sequence[Mapping[str, Any]] = answer.get("Contents", ())
        if int(answer.get("KeyCount", len(contents))) != len(contents):
            raise Unreachable(f"{self.what}: a page of the listing has not as many objects as it says")
        encoded = answer.get("EncodingType") == "url"
        try:
            found = [self._entry(item, encoded=encoded) for item in contents]
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"{self.what}: an object of the listing has no {error}: the server is wrong") from None
        self._go_on(answer)
        # The prefix itself is the directory that is loaded; it is where it goes already.
        return [entry for entry in found if entry.name or entry.size]

    def _go_on(self, answer: Mapping[str, Any]) -> None:
        self.ended = not answer["IsTruncated"]
        self.token = None if self.ended else answer.get("NextContinuationToken")
        if self.ended:
            return
        if not self.token:
            raise Unreachable(f"{self.what}: the listing says that there is more, and not how to go on")
        if self.token in self._seen:
            raise Refused(f"{self.what}: the listing goes round in circles: the server is wrong")
        self._seen.add(self.token)

    def _entry(self, item: Mapping[str, Any], *, encoded: bool) -> Entry:
        key = _decoded(item["Key"]) if encoded else str(item["Key"])
        if not key.startswith(self.prefix):
            raise Refused(f"{self.what}: the listing has a key outside of it, {key!r}: the server is wrong")
        etag = plain_etag(str(item.get("ETag", "")))
        if not (etag.isascii() and etag.isprintable()):  # reads name it in a header
            raise Refused(f"{self.what}: the listing has an ETag that is none, {etag!r}: the server is wrong")
        return Entry(key, key[len(self.prefix) :], int(item["Size"]), etag, of_etag(etag))


def _decoded(text: str) -> str:
    """A key of a listing with url encoding, where a plus is a blank. What is no UTF-8 comes as surrogates."""
    text = text.replace("+", " ")
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def plain_etag(etag: str) -> str:
    """Without the quotes that belong to the header; a weak one stays as it is."""
    return etag if etag.startswith("W/") else etag.strip('"')
