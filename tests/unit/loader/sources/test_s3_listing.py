"""Listings of S3 that lie are noticed; those that only take their time are waited for."""

from __future__ import annotations

import pytest
from aiohttp import web

from kaas.loader.source import Denied, NotThere, Refused, Unreachable
from kaas.loader.sources.access import ATTEMPTS
from tests.unit.loader.sources.s3_played import error, names, page, playing, xml


async def test_pages_are_followed_and_keys_decoded() -> None:
    pages = [page("a+b", "c%2Bd", "%FF", token="t1"), page(token="t2"), page("%E6%97%A5")]
    async with playing(lambda _, n: pages[n]) as s3:
        assert await names(await s3.source()) == ["a b", "c+d", "\udcff", "日"]
        assert [r.query.get("continuation-token") for r in s3.asked] == [None, "t1", "t2"]


async def test_keys_that_are_not_encoded_are_taken_as_they_are() -> None:
    async with playing(lambda *_: page("a+b%20", EncodingType=None)) as s3:
        assert await names(await s3.source()) == ["a+b%20"]


async def test_more_without_a_token() -> None:
    async with playing(lambda *_: page("a", IsTruncated="true")) as s3:
        with pytest.raises(Unreachable, match="says that there is more, and not how to go on"):
            await names(await s3.source())
        assert len(s3.asked) == ATTEMPTS


async def test_a_token_that_comes_again() -> None:
    async with playing(lambda _, n: page(f"k{n}", token=f"t{n % 3}")) as s3:
        with pytest.raises(Refused, match="goes round in circles"):
            await names(await s3.source())
        assert len(s3.asked) == 4


async def test_a_key_outside_of_the_prefix() -> None:
    async with playing(lambda *_: page("models/a", "etc/passwd")) as s3:
        with pytest.raises(Refused, match="a key outside of it, 'etc/passwd'"):
            await names(await s3.source("s3://bucket/models/"))


@pytest.mark.parametrize("etag", ["a&#13;&#10;x-amz-meta: b", "\u00e9"])
async def test_an_etag_that_is_none(etag: str) -> None:
    """It would be a header of what is asked, and of others."""
    element = f"<Contents><Key>a</Key><Size>1</Size><ETag>{etag}</ETag></Contents>"
    async with playing(
        lambda *_: xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{element}</ListBucketResult>")
    ) as s3:
        with pytest.raises(Refused, match="an ETag that is none"):
            await names(await s3.source())


@pytest.mark.parametrize("text", ["<ListAllMyBucketsResult/>", "<html><body>Welcome</body></html>"])
async def test_what_is_no_listing(text: str) -> None:
    async with playing(lambda *_: xml(text)) as s3:
        with pytest.raises(Refused, match="no listing"):
            await names(await s3.source())


@pytest.mark.parametrize("element", ["<Key>a</Key>", "<Size>1</Size>"])
async def test_an_object_without_key_or_size(element: str) -> None:
    text = f"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>{element}</Contents></ListBucketResult>"
    async with playing(lambda *_: xml(text)) as s3:
        with pytest.raises(Refused, match="an object of the listing has no"):
            await names(await s3.source())


@pytest.mark.parametrize("text", ["", "not XML", "<ListBucketResult><IsTrunc"])
async def test_what_is_cut_off(text: str) -> None:
    async with playing(lambda *_: web.Response(text=text)) as s3:
        with pytest.raises((Unreachable, Refused)):
            await names(await s3.source())


async def test_fewer_objects_than_the_page_says() -> None:
    async with playing(lambda *_: page("a", KeyCount=2)) as s3:
        with pytest.raises(Unreachable, match="not as many objects as it says"):
            await names(await s3.source())


async def test_nothing_at_all() -> None:
    async with playing(lambda *_: page()) as s3:
        with pytest.raises(NotThere, match="nothing in it"):
            await names(await s3.source())


async def test_only_the_prefix_itself() -> None:
    async with playing(lambda *_: page("models/")) as s3:
        assert await names(await s3.source("s3://bucket/models/")) == [""]  # it has content: that is told later


async def test_a_busy_server_is_asked_again_and_its_word_kept() -> None:
    answers = [error(503, "SlowDown", {"Retry-After": "7"}), error(500, "InternalError"), page("a")]
    async with playing(lambda _, n: answers[n]) as s3:
        assert await names(await s3.source()) == ["a"]
        assert s3.waits[0] == 7
        assert 0.25 <= s3.waits[1] <= 0.5


async def test_a_page_that_never_comes() -> None:
    async with playing(lambda *_: error(503, "SlowDown")) as s3:
        with pytest.raises(Unreachable, match=r"s3://bucket/: no good answer \(SlowDown, 503\)"):
            await names(await s3.source())
        assert len(s3.asked) == ATTEMPTS
        assert all(wait <= 30 for wait in s3.waits)


@pytest.mark.parametrize(
    "code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"]
)
async def test_access_denied(code: str) -> None:
    said = "<AWSAccessKeyId>AKIDOFNOBODY</AWSAccessKeyId><StringToSign>hunter2hunter2</StringToSign>"
    async with playing(lambda *_: error(403, code, inner=said)) as s3:
        with pytest.raises(Denied, match="s3://bucket/: access denied") as denied:
            await names(await s3.source())
        assert len(s3.asked) == 1
    assert "AKID" not in str(denied.value)
    assert "hunter2" not in str(denied.value)
