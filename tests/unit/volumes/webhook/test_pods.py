"""Which Pods wait, for what, and how they are changed."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.volumes import terms
from kaas.volumes.webhook.pods import Claim, Needs, needs, verdict

LOADED = {terms.SOURCE: "s3://bucket/a/"}


def pod(*claims: str, **spec: Any) -> dict[str, Any]:
    volumes = [{"name": f"v{i}", "persistentVolumeClaim": {"claimName": name}} for i, name in enumerate(claims)]
    return {"metadata": {"name": "p"}, "spec": {"volumes": volumes, **spec}}


def ephemeral(annotations: dict[str, str]) -> dict[str, Any]:
    template = {"metadata": {"annotations": annotations}, "spec": {}}
    return {"spec": {"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]}}


def test_every_claim_is_asked_for_once() -> None:
    assert needs(pod("a", "b", "a")) == Needs(("a", "b"))


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": {terms.LOADER_LABEL: "uid"}},
        {"annotations": {terms.WAIT: "false"}},
        {"annotations": {"kubernetes.io/config.mirror": "x"}},
    ],
)
def test_loaders_copies_of_static_pods_and_who_opts_out_need_nothing(changed: dict[str, Any]) -> None:
    assert needs({**pod("a"), "metadata": changed}) == Needs()


def test_wait_true_on_the_pod_is_no_opt_out() -> None:
    assert needs({**pod("a"), "metadata": {"annotations": {terms.WAIT: "true"}}}) == Needs(("a",))


def test_a_pod_without_volumes_needs_nothing() -> None:
    assert needs({"spec": {}}) == Needs()
    assert needs({}) == Needs()


def test_of_ephemeral_volumes_the_template_says_whether_it_is_loaded() -> None:
    assert needs(ephemeral(LOADED)).templates == ("scratch",)
    assert needs(ephemeral({})) == Needs()
    assert needs(ephemeral({**LOADED, terms.WAIT: "false"})) == Needs()


def test_a_pod_waits_for_what_is_loading_and_for_what_is_not_there_yet() -> None:
    found = verdict(pod("a", "b", "c"), {"a": Claim.READY, "b": Claim.WAITS, "c": Claim.MISSING})
    assert found.waits_for == ("b", "c")
    assert found.patch == (
        {"op": "add", "path": "/spec/schedulingGates", "value": [{"name": terms.GATE}]},
        {"op": "add", "path": "/metadata/labels", "value": {terms.WAITING_LABEL: "waiting"}},
    )


def test_a_pod_whose_data_is_there_is_left_alone() -> None:
    assert verdict(pod("a"), {"a": Claim.READY}) == verdict({}, {})


def test_gates_and_labels_of_others_stay() -> None:
    waiting = pod("a", schedulingGates=[{"name": "other"}])
    waiting["metadata"]["labels"] = {"app": "x"}
    first, second = verdict(waiting, {"a": Claim.WAITS}).patch
    assert first["value"] == [{"name": "other"}, {"name": terms.GATE}]
    assert second["value"] == {"app": "x", terms.WAITING_LABEL: "waiting"}


def test_what_has_its_gate_already_is_not_given_a_second() -> None:
    """API servers ask again after other webhooks have changed the Pod."""
    waiting = pod("a", schedulingGates=[{"name": terms.GATE}])
    waiting["metadata"]["labels"] = {terms.WAITING_LABEL: "waiting"}
    found = verdict(waiting, {"a": Claim.WAITS})
    assert found.waits_for == ("a",)
    assert not found.patch


@pytest.mark.parametrize("found", [pod("a"), pod(), {**pod("a"), "metadata": {"annotations": {terms.WAIT: "false"}}}])
def test_who_brings_our_gate_without_need_is_shown_to_the_controller(found: dict[str, Any]) -> None:
    found["spec"]["schedulingGates"] = [{"name": terms.GATE}]
    answer = verdict(found, {"a": Claim.READY})
    assert not answer.waits_for
    assert answer.patch == ({"op": "add", "path": "/metadata/labels", "value": {terms.WAITING_LABEL: "waiting"}},)


def test_a_loader_keeps_its_label() -> None:
    loader = pod("a", schedulingGates=[{"name": terms.GATE}])
    loader["metadata"]["labels"] = {terms.LOADER_LABEL: "uid", terms.WAITING_LABEL: "loading"}
    assert not verdict(loader, {}).patch


def test_a_pod_that_names_its_node_is_refused_while_its_data_is_loading() -> None:
    found = verdict(pod("a", nodeName="n"), {"a": Claim.WAITS})
    assert "spec.nodeName" in found.denied
    assert terms.WAIT in found.denied
    assert not found.patch


def test_a_pod_that_names_its_node_may_mount_what_is_not_known_to_be_loaded() -> None:
    assert not verdict(pod("a", nodeName="n"), {"a": Claim.MISSING}).denied
    assert not verdict(pod("a", nodeName="n"), {"a": Claim.READY}).denied
