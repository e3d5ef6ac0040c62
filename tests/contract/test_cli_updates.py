"""`kaas explain` and `kaas rollout` against a real API server: what they read, write, refuse, and how they end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management
from typer.testing import Result

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATE_RETRY, API_VERSION
from kaas.api.rollout import Rollout
from kaas.api.rollout_acts import Acts
from kaas.cli import rollout_ask
from kaas.cli.names import of_rollouts
from kaas.cli.settings import Settings
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.planner import decide
from tests.contract.api_server import ApiServer, path_of
from tests.unit.cli.running import write

Object = dict[str, Any]
Kaas = Callable[..., Result]
MERGE = "application/merge-patch+json"


@pytest.fixture(name="name")
def applied(run: Kaas, api: ApiServer, tmp_path: Path) -> Iterator[str]:
    """Two Clusters, a Release that is newer, and a Rollout of it in two stages; all have this name or begin so."""
    name = f"t{uuid.uuid4().hex[:8]}"
    run_of = "v1.36.3"
    dates = {c: "2026-01-01T00:00:00Z" for c in ("rapid", "regular", "stable")}
    releases = [
        of(name, "Release", name=f"{name}-{v[-1]}", version=v, image=f"ubuntu-{v}", channels=dates)
        for v in ("v1.36.1", run_of)
    ]
    stages = [
        {"name": "canary", "selector": {"names": [f"{name}/one"]}, "afterGates": [{"name": "ok", "type": "Approval"}]},
        {"name": "broad", "selector": {"namespaces": [name]}},
    ]
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        of(name, "Site", provider="dev", flavors=[{"name": "small"}]),
        *releases,
        of(name, "Rollout", version=run_of, stages=stages),
        *(cluster(name, each) for each in ("one", "two")),
    ]
    result = run("apply", "-f", write(tmp_path, *objects))
    assert result.exit_code == 0, result.stderr
    yield name
    for path in (rollout_path(name), *(path_of(o) for o in objects if o["kind"] not in ("Rollout", "Namespace"))):
        api.call("DELETE", path)


def of(place: str, kind: str, *, name: str = "", **spec: Any) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name or place}, "spec": spec}


def cluster(namespace: str, name: str) -> Object:
    spec = {"version": "1.36", "site": namespace, "controlPlane": {"replicas": 1, "flavor": "small"}}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec}


def rollout_path(name: str) -> str:
    return f"/apis/{API_VERSION}/rollouts/{name}"


def live(api: ApiServer, path: str) -> Object:
    code, found = api.call("GET", path)
    assert code == 200, found
    return found


def play(api: ApiServer, namespace: str, name: str, running: str, **update: Any) -> None:
    """What the controller would say of a Cluster whose maintenance window is open."""
    now = datetime.now(UTC).replace(microsecond=0)
    window = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=3)).isoformat()}
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": now.isoformat()}
    said = {"nextMaintenance": window, "message": "it waits", **update}
    status = {"phase": "Ready", "conditions": [ready], "version": running, "observedGeneration": 1, "update": said}
    code, found = api.call("PATCH", f"{path_of(cluster(namespace, name))}/status", {"status": status}, content=MERGE)
    assert code == 200, found


def look(api: ApiServer, name: str) -> Rollout:
    """The Rollout is looked at, as the controller would, until it says nothing new."""
    for _ in range(4):
        found = Rollout.model_validate(live(api, rollout_path(name)))
        clusters = [Cluster.model_validate(live(api, path_of(cluster(name, n)))) for n in ("one", "two")]
        now = datetime.now(UTC).replace(microsecond=0)
        status = decide(found, [Member.of(c) for c in clusters], now).status.to_json()
        code, said = api.call("PATCH", f"{rollout_path(name)}/status", {"status": status}, content=MERGE)
        assert code == 200, said
    return Rollout.model_validate(live(api, rollout_path(name)))


def acts(api: ApiServer, name: str) -> Acts:
    return Acts.of(live(api, rollout_path(name))["metadata"]["annotations"])


# --- kaas explain -------------------------------------------------------------------------------------------------


def test_a_cluster_that_nobody_looked_at(run: Kaas, name: str) -> None:
    result = run("explain", "two", "-n", name)
    assert result.exit_code == 0, result.stderr
    assert "NotRunning" in result.stdout or "NotLookedAt" in result.stdout
    assert "is `kaas controller` running?" in result.stdout


def test_whose_turn_it_is_and_what_can_be_done(run: Kaas, api: ApiServer, name: str) -> None:
    for each in ("one", "two"):
        play(api, name, each, "v1.36.1", version="v1.36.3", change="Patch")
    look(api, name)
    result = run("explain", "two", "-n", name, "-o", "json")
    found = json.loads(result.stdout)
    assert (found["state"], found["reason"], found["running"]) == ("Waits", "RolloutPending", "v1.36.1")
    assert f"Rollout {name}, stage broad" in found["answer"]
    assert {"message": f"see how far Rollout {name} is", "command": f"kaas rollout status {name}"} in found["ways"]
    assert f"RolloutPending: Rollout {name}, stage broad" in run("explain", "two", "-n", name).stdout


def test_no_such_cluster(run: Kaas) -> None:
    result = run("explain", "none", "-n", "default")
    assert result.exit_code == 3
    assert "there is no Cluster default/none" in result.stderr


# --- kaas rollout -------------------------------------------------------------------------------------------------


def test_a_run_from_its_first_member_to_an_approval(run: Kaas, api: ApiServer, name: str) -> None:
    for each in ("one", "two"):
        play(api, name, each, "v1.36.1")
    look(api, name)
    assert f"{name}  v1.36.3  Running  canary" in run("rollout", "list").stdout
    assert f"{name}/one  Pending" in run("rollout", "status", name).stdout

    play(api, name, "one", "v1.36.3", target="v1.36.3")
    look(api, name)
    assert "gate after: ok" in run("rollout", "status", name).stdout
    result = run("rollout", "approve", name, "--reason", "a day without errors")
    assert result.exit_code == 0, result.stderr
    assert "canary/ok is approved" in result.stdout
    act = acts(api, name).approved["canary/ok"]
    assert act.reason == "a day without errors"
    assert act.by, "the API server knows who it was"
    found = look(api, name)
    assert found.status is not None
    assert found.status.stage == "broad"
    assert f"approved by {act.by} (a day without errors)" in run("rollout", "status", name).stdout
    assert run("rollout", "approve", name).exit_code == 1, "nothing waits any more"


def test_pause_and_resume(run: Kaas, api: ApiServer, name: str) -> None:
    assert run("rollout", "resume", name).exit_code == 1, "it is not paused"
    assert run("rollout", "pause", name).exit_code == 0
    assert live(api, rollout_path(name))["spec"]["paused"] is True
    assert run("rollout", "resume", name).exit_code == 0
    assert live(api, rollout_path(name))["spec"]["paused"] is False


def test_members_are_skipped_before_their_turn(run: Kaas, api: ApiServer, name: str) -> None:
    result = run("rollout", "skip", name, "two", f"{name}/one", "--reason", "INC-7", "-n", name)
    assert result.exit_code == 0, result.stderr
    assert set(acts(api, name).skip) == {f"{name}/one", f"{name}/two"}
    refused = run("rollout", "skip", name, "three", "--reason", "INC-7", "-n", name)
    assert refused.exit_code == 3
    assert f"there is no Cluster {name}/three" in refused.stderr


def test_a_member_that_failed_is_tried_again_and_its_update_goes_on(run: Kaas, api: ApiServer, name: str) -> None:
    for each in ("one", "two"):
        play(api, name, each, "v1.36.1")
    look(api, name)
    said = {"since": "2026-01-01T00:00:00Z", "step": "ControlPlane", "reason": "VerificationFailed", "message": "ill"}
    steps = [{"name": "ControlPlane", "state": "Failed"}, {"name": "Finished", "state": "Pending"}]
    began = datetime.now(UTC).replace(microsecond=0).isoformat()
    play(api, name, "one", "v1.36.1", target="v1.36.3", version="v1.36.3", began=began, steps=steps, stopped=said)
    found = look(api, name)
    assert found.status is not None
    assert found.status.state == "Stopped"
    explained = json.loads(run("explain", "one", "-n", name, "-o", "json").stdout)
    assert (explained["state"], explained["reason"]) == ("Blocked", "Stopped")

    result = run("rollout", "retry", name, "--reason", "etcd was repaired")
    assert result.exit_code == 0, result.stderr
    assert f"{name}/one is tried again; {name}/one is told to go on" in result.stdout
    assert acts(api, name).retry[f"{name}/one"].reason == "etcd was repaired"
    notes = live(api, path_of(cluster(name, "one")))["metadata"]["annotations"]
    assert notes[ANNOTATION_UPDATE_RETRY].startswith("etcd was repaired (")


def test_a_run_is_ended_once(run: Kaas, api: ApiServer, name: str) -> None:
    for each in ("one", "two"):
        play(api, name, each, "v1.36.1")
    look(api, name)
    assert run("rollout", "abort", name, "--reason", "the image is bad").exit_code == 0
    said = acts(api, name).abort
    assert said is not None
    assert said.reason == "the image is bad"
    look(api, name)
    again = run("rollout", "abort", name, "--reason", "the image is bad")
    assert again.exit_code == 1
    assert "no run of it is under way" in again.stderr


def test_several_people_at_once_lose_nothing(management: Management, api: ApiServer, name: str) -> None:
    settings = Settings(kubeconfig=management.kubeconfig)

    def leave_out(member: str) -> None:
        rollout_ask.skip(settings, name, [f"{name}/{member}"], f"because of {member}")

    with ThreadPoolExecutor(max_workers=3) as people:
        everybody = [people.submit(leave_out, m) for m in ("one", "two")]
        everybody.append(people.submit(rollout_ask.approve, settings, name, "canary", "early"))
        for each in everybody:
            each.result()
    said = acts(api, name)
    assert (set(said.skip), set(said.approved)) == ({f"{name}/one", f"{name}/two"}, {"canary"})


@pytest.mark.parametrize("words", [("status",), ("pause",), ("approve",), ("abort", "--reason", "x")])
def test_no_such_rollout(run: Kaas, words: tuple[str, ...]) -> None:
    result = run("rollout", words[0], "none", *words[1:])
    assert result.exit_code == 3
    assert "there is no Rollout 'none'" in result.stderr


def test_names_for_the_shell(management: Management, name: str) -> None:
    assert name in of_rollouts(Settings(kubeconfig=management.kubeconfig))


def test_for_programs(run: Kaas, name: str) -> None:
    items = json.loads(run("rollout", "list", "-o", "json").stdout)["items"]
    assert name in [i["metadata"]["name"] for i in items]
    assert json.loads(run("rollout", "status", name, "-o", "json").stdout)["spec"]["version"] == "v1.36.3"
