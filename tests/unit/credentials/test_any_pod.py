"""Rules that hold for any JSON object in place of a Pod, a ServiceAccount, or the whole review."""

from __future__ import annotations

import base64
import copy
import json as text
from collections.abc import Mapping
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from kaas.credentials import podreview
from kaas.credentials.pods.facts import SecretFacts, facts_of
from kaas.credentials.pods.mutation import LISTS, Outcome, mutate
from kaas.credentials.pods.seen import mark
from kaas.credentials.terms import (
    AWS_CONFIG_ANNOTATION,
    AWS_PROCESS_ANNOTATION,
    AWS_VOLUME,
    GCP_VOLUME,
    INJECTED_ANNOTATION,
    SEEN_ANNOTATION,
    TOKEN_VOLUME,
)
from tests.unit.credentials import pod_strategies as strategies
from tests.unit.credentials.pod_shapes import Object, patched

OUR_VOLUMES = {AWS_VOLUME, GCP_VOLUME, TOKEN_VOLUME}
OUR_ANNOTATIONS = {INJECTED_ANNOTATION, SEEN_ANNOTATION, AWS_CONFIG_ANNOTATION, AWS_PROCESS_ANNOTATION}
OUR_VARIABLES = ("AWS_", "GOOGLE_", "CLOUDSDK_", "NO_GCE_CHECK")

Facts = Mapping[str, SecretFacts | None]


@settings(max_examples=400)
@given(strategies.pods, strategies.accounts, strategies.secrets)
def test_any_pod(pod: Object, account: Object | None, secrets: Facts) -> None:
    outcome = holds(pod, account, secrets)
    event("denied" if outcome.denied else "patched" if outcome.patch else "left alone")


def holds(pod: Object, account: Object | None, secrets: Facts) -> Outcome:
    """Every rule for one Pod, in whatever state it is."""
    before = copy.deepcopy((pod, account))
    outcome = mutate(pod, account, secrets)
    assert (pod, account) == before
    assert same(outcome, mutate(pod, account, secrets))
    if outcome.denied is not None:
        assert (outcome.patch, outcome.given) == ([], {})
        return outcome
    found = patched(pod, outcome)
    assert (found != pod) == bool(outcome.patch)
    only_ours_is_new(pod, found)
    whole = patched(pod, Outcome([*outcome.patch, *mark(pod, outcome.patch)]))
    only_ours_is_new(pod, whole)
    assert mark(whole, []) == []
    again = mutate(found, account, secrets)
    assert (again.patch, again.denied) == ([], None)
    assert again.given == outcome.given
    return outcome


def same(one: Outcome, other: Outcome) -> bool:
    return text.dumps(one.patch) == text.dumps(other.patch) and one.warnings == other.warnings


def only_ours_is_new(before: Object, after: Object) -> None:
    """Takes away what may be ours, part by part; the rest must be what it was."""
    rest = copy.deepcopy(after)
    if (old := before.get("metadata")) != rest.get("metadata"):
        kept = {k: v for k, v in rest["metadata"]["annotations"].items() if k not in OUR_ANNOTATIONS}
        earlier = (old or {}).get("annotations") or {}
        assert kept == {k: v for k, v in earlier.items() if k not in OUR_ANNOTATIONS}
        without = {k: v for k, v in rest["metadata"].items() if k != "annotations"}
        assert without == {k: v for k, v in (old or {}).items() if k != "annotations"}
        put_back(rest, "metadata", before)
    if rest.get("spec") == before.get("spec"):
        return
    for key in LISTS:
        if isinstance(before["spec"].get(key), list):
            for old, new in zip(before["spec"][key], rest["spec"][key], strict=True):
                if old != new:
                    added(old, new, "env", lambda e: e["name"].startswith(OUR_VARIABLES))
                    added(old, new, "volumeMounts", lambda m: m["name"] in OUR_VOLUMES and m["readOnly"])
    if before["spec"].get("volumes") != rest["spec"].get("volumes"):
        theirs = [v for v in rest["spec"]["volumes"] if not ours(v)]
        assert theirs == [v for v in before["spec"].get("volumes") or [] if not ours(v)]
        put_back(rest["spec"], "volumes", before["spec"])
    assert rest == before


def ours(volume: Any) -> bool:
    name = volume.get("name") if isinstance(volume, dict) else None
    return isinstance(name, str) and name in OUR_VOLUMES


def added(old: Object, new: Object, key: str, allowed: Any) -> None:
    """The list is the old one with ours behind it; put the old one back."""
    if old.get(key) == new.get(key):
        return
    was = old.get(key) or []
    assert new[key][: len(was)] == was
    assert all(map(allowed, new[key][len(was) :]))
    put_back(new, key, old)


def put_back(new: Object, key: str, old: Object) -> None:
    if key in old:
        new[key] = old[key]
    else:
        del new[key]


@given(
    st.one_of(
        strategies.json,
        strategies.some(request=strategies.json),
        strategies.some(
            request=strategies.some(
                uid=strategies.rarely(strategies.json, st.just("u")),
                kind=strategies.rarely(strategies.json, st.just({"group": "", "version": "v1", "kind": "Pod"})),
                operation=strategies.rarely(strategies.json, st.just("CREATE")),
                object=strategies.rarely(strategies.json, strategies.pods),
            )
        ),
    ),
    strategies.accounts,
    strategies.secrets,
)
def test_any_review(review: Any, account: Object | None, secrets: Facts) -> None:
    first = podreview.needs(review)
    podreview.needs(review, account)
    assert first.service_account is None or first.service_account
    answer = podreview.respond(review, account, secrets)
    assert text.loads(text.dumps(answer)) == answer
    response = answer["response"]
    assert isinstance(response["uid"], str)
    assert response["allowed"] is ("status" not in response)
    assert all(len(w) <= podreview.LONGEST_WARNING for w in response.get("warnings", ()))
    if "patch" in response:
        assert text.loads(base64.b64decode(response["patch"]))


@given(strategies.some(type=strategies.json, data=strategies.json | st.dictionaries(st.text(), strategies.json)))
def test_facts_of_any_secret(secret: Object) -> None:
    assert facts_of(secret).audience == ""
