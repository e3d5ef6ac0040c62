"""What annotations of a claim say, and what is said of those that are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.address import Scheme
from kaas.volumes import terms
from kaas.volumes.annotations import Bind, Cache, Owner, Verify, request_of

SOURCE = {terms.SOURCE: "s3://models/llama/"}


def faults(**notes: str) -> dict[str, str]:
    """Faults of annotations `load-*`, by their name without the prefix."""
    found = request_of({**SOURCE, **{terms.PREFIX + k.replace("_", "-"): v for k, v in notes.items()}})
    return {f.annotation.removeprefix(terms.PREFIX): f.message for f in found.faults}


def test_nothing_is_asked_for_without_a_source() -> None:
    found = request_of({"other": "x", terms.WAIT: "true", terms.CACHE: "snapshot"})
    assert not found.concerns
    assert not found.waits


def test_a_source_alone_is_enough() -> None:
    found = request_of(SOURCE)
    assert found.spec is not None
    assert (found.spec.source.scheme, found.spec.source.place) == (Scheme.S3, "models")
    assert found.waits
    assert found.spec.verify is Verify.AUTO
    assert found.spec.bind is Bind.WAIT
    assert found.spec.cache is Cache.NONE
    assert found.spec.shards == 1


def test_everything_at_once() -> None:
    notes = {
        **SOURCE,
        terms.PATH: "/models//".rstrip("/"),
        terms.CREDENTIALS: "team-s3",
        terms.SERVICE_ACCOUNT: "loader",
        terms.ENDPOINT: "https://s3.example.com",
        terms.REGION: "eu-central-1",
        terms.INCLUDE: "*.safetensors,*.json",
        terms.EXCLUDE: "old/",
        terms.ID: "2026-01",
        terms.DELETE: "true",
        terms.VERIFY: "size",
        terms.WAIT: "false",
        terms.CACHE: "snapshot",
        terms.BIND: "immediate",
        terms.OWNER: "1000:100:0640",
        terms.REQUESTER_PAYS: "true",
        terms.SHARDS: "4",
        terms.MAX_RATE: "200Mi",
        terms.TIMEOUT: "3600",
    }
    found = request_of(notes)
    assert not found.faults
    assert found.spec is not None
    assert found.spec.path == "models"
    assert found.spec.owner == Owner(1000, 100, "0640")
    assert (found.spec.shards, found.spec.timeout, found.spec.id) == (4, 3600, "2026-01")
    assert found.spec.max_rate == 200 * 2**20
    assert not found.waits


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("path", "/../etc", "'..'"),
        ("path", "a\0b", "NUL"),
        ("credentials", "Team", "no name of an object"),
        ("service_account", "a" * 254, "no name of an object"),
        ("endpoint", "s3.example.com", "no http or https URL"),
        ("endpoint", "https://user:pass@s3.example.com", "has a user or password"),
        ("endpoint", "https://s3.example.com?x=1", "query"),
        ("endpoint", "https://s3.example.com:port", "no URL"),
        ("region", "Frankfurt am Main", "no region"),
        ("include", " , ", "no pattern"),
        ("exclude", "a[b", "[ has no ]"),
        ("id", "two words", "without blanks"),
        ("delete", "yes", 'neither "true" nor "false"'),
        ("verify", "md5", "none of auto, size, off"),
        ("wait", "no", 'neither "true" nor "false"'),
        ("cache", "yes", "none of none, snapshot"),
        ("bind", "now", "none of wait, immediate"),
        ("owner", "root", "write uid:gid"),
        ("owner", "0:0", "root"),
        ("owner", "9999999999:1", "go up to"),
        ("shards", "0", "from 1 to 64"),
        ("shards", "2.5", "from 1 to 64"),
        ("max_rate", "fast", "write bytes a second, at least 64Ki"),
        ("max_rate", "1Ki", "is too little"),
        ("timeout", "10", "from 60"),
        ("requester_pays", "true", "kaas.internal/load-credentials"),
    ],
)
def test_what_is_wrong_is_named_with_a_way_out(name: str, value: str, words: str) -> None:
    found = faults(**{name: value})
    assert list(found) == [name.replace("_", "-")]
    assert words in found[name.replace("_", "-")]


def test_every_fault_is_named_at_once() -> None:
    assert set(faults(source="s3:/models", sorce="x", shards="many", wait="no")) == {
        "source",
        "sorce",
        "shards",
        "wait",
    }


def test_a_misspelt_name_is_led_to_the_nearest() -> None:
    found = request_of({f"{terms.PREFIX}sorce": "s3://models/"})
    assert found.concerns
    assert found.waits
    assert str(found.faults[0]) == (
        "kaas.internal/load-sorce: is not known: did you mean kaas.internal/load-source? Correct or remove it"
    )


def test_what_a_source_cannot_have_is_named() -> None:
    assert "https://" in faults(source="https://host/file", credentials="team")["credentials"]
    assert "names its host" in faults(source="https://host/file", endpoint="https://x")["endpoint"]
    assert "region" in faults(source="gs://models/", region="eu")
    assert "one Pod" in faults(source="s3://models/file", shards="2")["shards"]


def test_each_pod_of_several_needs_a_rate_that_a_load_can_have() -> None:
    assert (
        "4 Pods share it, and each needs 64Ki: write at least 256Ki" in faults(shards="4", max_rate="255Ki")["max-rate"]
    )
    assert not faults(shards="4", max_rate="256Ki")
    assert not faults(max_rate="64Ki")


def test_nothing_secret_is_quoted() -> None:
    for notes in ({"source": "https://user:hunter2@host/f"}, {"endpoint": "https://user:hunter2@host"}):
        assert "hunter2" not in str(faults(**notes))


def test_a_load_begins_anew_when_what_it_does_changes_and_only_then() -> None:
    def digest(**notes: str) -> str:
        spec = request_of({**SOURCE, **{terms.PREFIX + k: v for k, v in notes.items()}}).spec
        assert spec is not None
        return spec.digest()

    same = [digest(), digest(wait="false"), digest(id="2"), digest(bind="immediate"), digest(cache="snapshot")]
    same.append(digest(**{"max-rate": "1Gi"}))
    assert len(set(same)) == 1
    others = [digest(source="s3://models/"), digest(path="x"), digest(shards="2"), digest(verify="off")]
    assert len({same[0], *others}) == 5


@given(
    st.dictionaries(
        st.sampled_from([terms.SOURCE, terms.PATH, terms.ENDPOINT, terms.OWNER, terms.MAX_RATE, "x"]), st.text()
    )
)
def test_any_text_is_read_or_refused(notes: dict[str, str]) -> None:
    found = request_of(notes)
    assert not (found.spec and found.faults)
    assert found.concerns == (terms.SOURCE in notes)
