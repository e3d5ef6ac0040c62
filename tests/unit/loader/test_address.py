"""Sources as people write them: what is read, what is refused, and that a refusal gives no secret away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.address import Address, AddressError, Scheme, parse

READ = {
    "s3://bucket": Address(Scheme.S3, "bucket", ""),
    "s3://bucket/": Address(Scheme.S3, "bucket", ""),
    "s3://my.bucket-1/models/foo/": Address(Scheme.S3, "my.bucket-1", "models/foo/"),
    "s3://bucket/models/foo.bin": Address(Scheme.S3, "bucket", "models/foo.bin"),
    "s3://bucket//x": Address(Scheme.S3, "bucket", "/x"),
    "s3://bucket/a%20b #1 @2/": Address(Scheme.S3, "bucket", "a%20b #1 @2/"),
    "s3://bucket/ünï/日本/": Address(Scheme.S3, "bucket", "ünï/日本/"),
    "gs://my_bucket.example.com/a/b": Address(Scheme.GCS, "my_bucket.example.com", "a/b"),
    "https://Example.com:8443/a/b%20c.bin": Address(Scheme.HTTPS, "example.com:8443", "/a/b%20c.bin"),
    "https://[2001:db8::1]/f": Address(Scheme.HTTPS, "[2001:db8::1]", "/f"),
    "http://10.0.0.1/f": Address(Scheme.HTTP, "10.0.0.1", "/f"),
    "hf://owner/name": Address(Scheme.HF, "models/owner/name", ""),
    "hf://models/owner/name/": Address(Scheme.HF, "models/owner/name", ""),
    "hf://datasets/o-w/n.1_2@main/a/b": Address(Scheme.HF, "datasets/o-w/n.1_2", "a/b", "main"),
    "hf://spaces/o/n@refs%2Fpr%2F1/d/": Address(Scheme.HF, "spaces/o/n", "d/", "refs%2Fpr%2F1"),
}

REFUSED = {
    "": "is no URL",
    "bucket/prefix": "is no URL",
    "s3:/bucket": "is no URL",
    "ftp://host/file": "'ftp' is not known",
    "S3://bucket": "'S3' is not known",
    " s3://bucket": "blank or control",
    "s3://bucket/a\nb": "blank or control",
    "s3://": "no name of a bucket",
    "s3:///key": "no name of a bucket",
    "s3://ab": "no name of a bucket",
    "s3://Bucket": "no name of a bucket",
    "s3://buck_et": "no name of a bucket",
    "s3://-bucket": "no name of a bucket",
    "s3://bu..cket": "no name of a bucket",
    "s3://192.168.0.1/x": "no name of a bucket",
    "s3://bucket.evil.com:80/x": "no name of a bucket",
    "s3://" + "b" * 64: "no name of a bucket",
    "s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/mine/x": "alias of the access point",
    "s3://AKIA:secret@bucket/x": "has a user",
    "s3://data--use1-az5--x-s3/x": "is a directory bucket",
    "s3://bucket/x?versionId=1": "has a query",
    "s3://bucket/" + "k" * 1025: "longer than 1024",
    "gs://b": "no name of a bucket",
    "gs://" + "b" * 64 + ".example": "no name of a bucket",
    "https://user:pw@host/f": "has a user or password",
    "https://@host/f": "has a user or password",
    "https://host/f?X-Amz-Signature=1": "pre-signed",
    "https://host/f#part": "query or fragment",
    "https://host": "HTTP has no directories",
    "https://host/": "HTTP has no directories",
    "https://host/d/": "HTTP has no directories",
    "https:///f": "no name of a host",
    "https://ho st/f": "no name of a host",
    "https://host:99999/f": "is no URL",
    "https://[::1/f": "is no URL",
    "hf://owner": "write hf://",
    "hf://datasets/owner": "write hf://",
    "hf://owner/na me/x": "name 'na me'",
    "hf://../name/x": "owner '..'",
    "hf://owner/name@/x": "revision ''",
    "hf://owner/name?x=1": "query or fragment",
}  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_read(text: str) -> None:
    found = parse(text)
    assert found == READ[text]
    assert parse(str(found)) == found


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(AddressError, match="source ") as refusal:
        parse(text)
    assert REFUSED[text] in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "directory", "name"),
    [
        ("s3://bucket", True, ""),
        ("s3://bucket/a/b/", True, ""),
        ("s3://bucket/a/b%20", False, "b%20"),
        ("https://host/a/b%20c", False, "b c"),
    ],
)
def test_a_slash_at_the_end_makes_a_directory(text: str, directory: bool, name: str) -> None:
    found = parse(text)
    assert (found.directory, found.name) == (directory, name)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIASECRET:hunter2@bucket/x",
        "https://hunter2:x@host/f",
        "https://host/f?hunter2",
        "gs://b?hunter2",
        "ftp://hunter2@h/?hunter2",
    ],
)
def test_no_secret_is_said(text: str) -> None:
    with pytest.raises(AddressError) as refusal:
        parse(text)
    assert "hunter2" not in str(refusal.value)
    assert "SECRET" not in str(refusal.value)


@given(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["s3", "gs", "https", "hf", "http"]).flatmap(
            lambda s: st.text(max_size=60).map(lambda t: f"{s}://{t}")
        ),
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except AddressError:
        return
    assert parse(str(found)) == found
