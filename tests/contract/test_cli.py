"""`kaas` against a real API server: what it writes, what it refuses, and how it ends."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management
from typer.testing import Result

from kaas.cli.names import of_clusters
from kaas.cli.session import CLI_MANAGER
from kaas.cli.settings import Settings
from tests.contract.api_server import ApiServer, path_of
from tests.contract.manifests import GOOD
from tests.unit.cli.running import write

Object = dict[str, Any]
SINCE = "2026-01-01T00:00:00Z"
Kaas = Callable[..., Result]


@pytest.fixture(name="name")
def unique_name() -> str:
    """Of the namespace, the Cluster, its Site and its Release: tests share the API server."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(name="objects")
def everything(name: str) -> list[Object]:
    """Wrongly ordered on purpose: the Cluster first, its namespace last."""
    site = {**GOOD["site"], "metadata": {"name": name}, "spec": {"provider": "dev", "flavors": [{"name": "small"}]}}
    release = {**GOOD["release"], "metadata": {"name": name}}
    spec = {"version": "v1.36.1", "site": name, "controlPlane": {"replicas": 1, "flavor": "small"}}
    cluster = {**GOOD["cluster"], "metadata": {"name": name, "namespace": name}, "spec": spec}
    meta = {"name": name, "namespace": name}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"a": "b"}}
    return [cluster, secret, release, site, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}]


@pytest.fixture(name="file")
def written(tmp_path: Path, objects: list[Object]) -> Path:
    return write(tmp_path, *objects)


@pytest.fixture(name="applied")
def applied_objects(run: Kaas, file: Path, objects: list[Object]) -> Iterator[list[Object]]:
    assert run("apply", "-f", file).exit_code == 0
    yield objects
    run("delete", objects[0]["metadata"]["name"], "-n", objects[0]["metadata"]["namespace"])


def live(api: ApiServer, obj: Object) -> Object:
    code, found = api.call("GET", path_of(obj))
    assert code == 200, found
    return found


def set_status(api: ApiServer, cluster: Object, **status: Any) -> None:
    """What the controller would say."""
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": SINCE}
    body = {"status": {"phase": "Ready", "conditions": [ready], **status}}
    path = f"{path_of(cluster)}/status"
    code, found = api.call("PATCH", path, body, content="application/merge-patch+json")
    assert code == 200, found


def test_apply_in_an_order_that_works(run: Kaas, file: Path, name: str) -> None:
    result = run("apply", "-f", file)
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0].partition(".")[0] for line in result.stdout.splitlines()] == [
        "Namespace",
        "Secret",
        "Site",
        "Release",
        "Cluster",
    ]


def test_fields_are_owned_by_the_person(api: ApiServer, applied: list[Object]) -> None:
    entries = live(api, applied[0])["metadata"]["managedFields"]
    assert [e["manager"] for e in entries] == [CLI_MANAGER]


def test_apply_again_writes_nothing(run: Kaas, api: ApiServer, file: Path, applied: list[Object]) -> None:
    before = live(api, applied[0])["metadata"]["resourceVersion"]
    assert run("apply", "-f", file).exit_code == 0
    assert live(api, applied[0])["metadata"]["resourceVersion"] == before


def test_a_wrong_manifest_is_refused_and_nothing_is_written(
    run: Kaas, api: ApiServer, tmp_path: Path, objects: list[Object]
) -> None:
    cluster, *others = objects
    wrong = {**cluster, "spec": {**cluster["spec"], "controlPlane": {"flavour": "small"}, "version": 1.36}}
    result = run("apply", "-f", write(tmp_path, wrong, *others[1:3], others[3]))
    assert result.exit_code == 2
    for said in ("spec.version: must be text", "spec.controlPlane.flavour: is not a field", "spec.controlPlane.flavor"):
        assert said in result.stderr
    assert api.call("GET", path_of(others[2]))[0] == 404


def test_a_refused_change_names_the_field(run: Kaas, tmp_path: Path, applied: list[Object]) -> None:
    cluster = {**applied[0], "spec": {**applied[0]["spec"], "site": "elsewhere"}}
    result = run("apply", "-f", write(tmp_path, cluster))
    assert result.exit_code == 2
    assert "spec.site: Invalid value" in result.stderr
    assert "make a new Cluster on the other site" in result.stderr


def test_a_namespace_that_is_not_there(run: Kaas, tmp_path: Path, objects: list[Object], name: str) -> None:
    result = run("apply", "-f", write(tmp_path, objects[0]))
    assert result.exit_code == 2
    assert f"there is no namespace {name!r}" in result.stderr


def test_another_namespace_than_the_file_says(run: Kaas, file: Path) -> None:
    result = run("apply", "-n", "elsewhere", "-f", file)
    assert result.exit_code == 2
    assert "metadata.namespace: is" in result.stderr


def test_wait_until_ready(run: Kaas, api: ApiServer, file: Path, applied: list[Object]) -> None:
    set_status(api, applied[0], observedGeneration=1)
    result = run("apply", "-f", file, "--wait", "--timeout", "20s")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("is Ready\n")


def test_wait_knows_an_old_status(run: Kaas, api: ApiServer, tmp_path: Path, applied: list[Object]) -> None:
    """Ready before the change is not Ready after it."""
    set_status(api, applied[0], observedGeneration=1)
    pools = [{"name": "cpu", "flavor": "small"}]
    changed = {**applied[0], "spec": {**applied[0]["spec"], "nodePools": pools}}
    result = run("apply", "-f", write(tmp_path, changed), "--wait", "--timeout", "0s")
    assert result.exit_code == 1
    assert "not Ready after 0 s" in result.stderr


def test_wait_gives_the_deepest_reason(run: Kaas, api: ApiServer, file: Path, applied: list[Object]) -> None:
    why = {"type": "Ready", "status": "False", "reason": "NoHost", "message": "OpenStackServer x: No valid host"}
    conditions = [{**why, "lastTransitionTime": SINCE}]
    set_status(api, applied[0], observedGeneration=1, phase="Provisioning", conditions=conditions)
    result = run("apply", "-f", file, "--wait", "--timeout", "0s")
    assert result.exit_code == 1
    assert "Provisioning: OpenStackServer x: No valid host" in result.stderr


def test_status(run: Kaas, api: ApiServer, applied: list[Object], name: str) -> None:
    set_status(api, applied[0], observedGeneration=1, version="v1.36.1")
    assert [name, "Ready", "v1.36.1", "0/1", "0/0", name] == run("status", "-n", name).stdout.splitlines()[1].split()[
        :6
    ]
    assert name in run("status", "-A").stdout
    assert f"{name}/{name}  Ready  v1.36.1  on {name}" in run("status", name, "-n", name).stdout


def test_status_for_programs(run: Kaas, applied: list[Object], name: str) -> None:
    (found,) = json.loads(run("status", "-n", name, "-o", "json").stdout)["items"]
    assert found["metadata"]["name"] == name
    one = json.loads(run("status", name, "-n", name, "-o", "json").stdout)
    assert one["tree"]["phase"] == "Pending"
    assert one["cluster"]["spec"]["site"] == name


def test_status_without_any(run: Kaas) -> None:
    result = run("status", "-n", "kube-public")
    assert result.exit_code == 0
    assert "no Cluster in namespace kube-public" in result.stdout


@pytest.mark.parametrize("words", [("status", "none"), ("kubeconfig", "none"), ("delete", "none"), ("plan", "none")])
def test_a_cluster_that_is_not_there(run: Kaas, words: tuple[str, ...]) -> None:
    result = run(*words, "-n", "default")
    assert result.exit_code == 3
    assert "there is no Cluster default/none" in result.stderr


def test_kubeconfig(run: Kaas, api: ApiServer, applied: list[Object], name: str, tmp_path: Path) -> None:
    early = run("kubeconfig", name, "-n", name)
    assert early.exit_code == 1
    assert "has no kubeconfig yet: it is Pending" in early.stderr
    data = {"value": base64.b64encode(b"apiVersion: v1\n").decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-kubeconfig"}, "data": data}
    assert api.call("POST", f"/api/v1/namespaces/{name}/secrets", secret)[0] == 201
    set_status(api, applied[0], kubeconfigSecret={"name": f"{name}-kubeconfig"})
    assert run("kubeconfig", name, "-n", name).stdout == "apiVersion: v1\n"
    file = tmp_path / "found"
    assert run("kubeconfig", name, "-n", name, "--output", file).exit_code == 0
    assert file.read_text() == "apiVersion: v1\n"
    assert file.stat().st_mode & 0o077 == 0


def test_plan_of_files_that_are_not_applied(run: Kaas, api: ApiServer, file: Path, objects: list[Object]) -> None:
    result = run("plan", "-f", file, "-o", "json")
    assert result.exit_code == 10, result.stderr
    (found,) = json.loads(result.stdout)
    assert [s["id"] for s in found["steps"]] == ["finalizer", "class", "class-ready", "cluster"]
    assert api.call("GET", path_of(objects[0]))[0] == 404


def test_plan_of_a_change(run: Kaas, tmp_path: Path, applied: list[Object], name: str) -> None:
    """What is live and what is in the file come together: the Site is only there."""
    changed = {**applied[0], "spec": {**applied[0]["spec"], "version": "v1.36.9"}}
    assert run("plan", "-n", name).exit_code == 10
    result = run("plan", "-f", write(tmp_path, changed))
    assert result.exit_code == 11
    assert "waits: ReleaseNotFound: spec.version: there is no Release for v1.36.9" in result.stdout


def test_plan_of_nothing(run: Kaas) -> None:
    result = run("plan", "-n", "kube-public")
    assert result.exit_code == 0
    assert result.stdout == "no Cluster\n"


def test_plan_refuses_wrong_manifests(run: Kaas, tmp_path: Path, applied: list[Object]) -> None:
    wrong = {**applied[0], "spec": {**applied[0]["spec"], "nodePool": []}}
    result = run("plan", "-f", write(tmp_path, wrong))
    assert result.exit_code == 2
    assert "spec.nodePool: is not a field" in result.stderr


def test_delete_and_wait(run: Kaas, api: ApiServer, applied: list[Object], name: str) -> None:
    """Without a controller nothing holds it."""
    result = run("delete", name, "-n", name, "--wait", "--timeout", "20s")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith(f"Cluster {name}/{name} is gone\n")
    assert api.call("GET", path_of(applied[0]))[0] == 404


def test_delete_stops_before_the_first_when_one_is_not_there(
    run: Kaas, api: ApiServer, applied: list[Object], name: str
) -> None:
    assert run("delete", name, "none", "-n", name).exit_code == 3
    assert "deletionTimestamp" not in live(api, applied[0])["metadata"]


def test_delete_that_something_holds(run: Kaas, api: ApiServer, applied: list[Object], name: str) -> None:
    def hold(finalizers: list[str]) -> None:
        patch = {"metadata": {"finalizers": finalizers}}
        assert api.call("PATCH", path_of(applied[0]), patch, content="application/merge-patch+json")[0] == 200

    hold(["example.com/test"])
    result = run("delete", name, "-n", name, "--wait", "--timeout", "0s")
    assert result.exit_code == 1
    assert "not gone after 0 s" in result.stderr
    hold([])


def test_crds_can_be_installed_again(run: Kaas) -> None:
    for _ in range(2):
        result = run("crds", "--install")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.count("installed") == 7


def test_names_are_completed(management: Management, applied: list[Object], name: str) -> None:
    assert of_clusters(Settings(kubeconfig=management.kubeconfig, namespace=name)) == [name]
