"""`kaas addons` against a real API server: what is packed is taken as it is, and what is told of it is shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management
from typer.testing import Result

from kaas.api.constants import API_VERSION
from kaas.cli.addons_scopes import NAMESPACED
from kaas.cli.names import of_addons
from kaas.cli.settings import Settings
from tests.contract.api_server import ApiServer, path_of
from tests.unit.cli.running import EXAMPLES, write

Object = dict[str, Any]
Kaas = Callable[..., Result]
MERGE = "application/merge-patch+json"
SOURCE = EXAMPLES / "addons" / "node-exporter.yaml"
SINCE = "2027-01-04T09:00:00Z"


@pytest.fixture(name="name")
def applied(run: Kaas, api: ApiServer, tmp_path: Path) -> Iterator[str]:
    """A Cluster in a namespace of its own, and an Addon with a version that is packed; all have this name."""
    name = f"t{uuid.uuid4().hex[:8]}"
    version = {"version": "1.8.1", "manifests": {"configMap": f"{name}-1.8.1"}}
    cluster = {"version": "1.36", "site": name, "controlPlane": {"flavor": "small"}}
    objects = [
        of("Addon", name, {"versions": [version], "clusters": {"namespaces": [name]}}),
        of("Cluster", name, cluster, namespace=name),
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (name, "kaas-system")),
    ]
    packed = tmp_path / "packed.yaml"
    assert run("addons", "pack", name, "1.8.1", "-f", SOURCE, "--output", packed).exit_code == 0
    result = run("apply", "-f", packed, "-f", write(tmp_path, *objects))
    assert result.exit_code == 0, result.stderr
    yield name
    for obj in objects[:2]:
        api.call("DELETE", path_of(obj))


def of(kind: str, name: str, spec: Object, **meta: str) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **meta}, "spec": spec}


def tell(api: ApiServer, kind: str, name: str, status: Object, **meta: str) -> None:
    """What the controller would say."""
    path = f"{path_of(of(kind, name, {}, **meta))}/status"
    code, found = api.call("PATCH", path, {"status": status}, content=MERGE)
    assert code == 200, found


def config_map(api: ApiServer, name: str) -> Object:
    code, found = api.call("GET", f"/api/v1/namespaces/kaas-system/configmaps/{name}")
    assert code == 200, found
    return found


def test_what_is_packed_is_stored_as_it_is_and_never_changes(
    run: Kaas, api: ApiServer, name: str, tmp_path: Path
) -> None:
    stored = config_map(api, f"{name}-1.8.1")
    assert (stored["immutable"], stored["data"]) == (True, {"node-exporter.yaml": SOURCE.read_text()})
    other = tmp_path / "other.yaml"
    manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"
    assert run("addons", "pack", name, "1.8.1", "-f", "-", "-o", other, stdin=manifest).exit_code == 0
    result = run("apply", "-f", other)
    assert result.exit_code == 2
    assert "field is immutable when `immutable` is set" in result.stderr
    assert config_map(api, f"{name}-1.8.1")["data"] == stored["data"]


def test_before_and_after_the_controller_has_looked(run: Kaas, api: ApiServer, name: str) -> None:
    (listed,) = (line for line in run("addons").stdout.splitlines() if line.startswith(name))
    assert listed.split()[:3] == [name, "1.8.1", "the"]
    (before,) = json.loads(run("addons", "status", "-n", name, "-o", "json").stdout)
    assert "the controller has not looked" in before["message"]

    usable = {"type": "Usable", "status": "True", "reason": "Usable", "message": "", "lastTransitionTime": SINCE}
    clusters = {"selected": 1, "current": 0, "failing": 1}
    version = {"version": "1.8.1", "objects": 4, "digest": "d", "since": SINCE}
    tell(
        api,
        "Addon",
        name,
        {"conditions": [usable], "observedGeneration": 1, "clusters": clusters} | {"versions": [version]},
    )
    has = {"name": name, "wanted": "1.8.1", "state": "Failed", "since": SINCE, "message": "a webhook refuses it"}
    tell(api, "Cluster", name, {"version": "v1.36.1", "addOns": [has]}, namespace=name)

    (listed,) = (line for line in run("addons", "list").stdout.splitlines() if line.startswith(name))
    assert listed.split() == [name, "1.8.1", "1", "0", "1", "True"]
    (after,) = json.loads(run("addons", "status", name, "-A", "-o", "json").stdout)
    assert after == {
        "namespace": name,
        "cluster": name,
        "addOn": name,
        "wanted": "1.8.1",
        "state": "Failed",
        "since": SINCE,
        "message": "a webhook refuses it",
        "newest": "1.8.1",
    }


def test_no_such_addon(run: Kaas, name: str) -> None:
    result = run("addons", "status", "none", "-n", name)
    assert (result.exit_code, "there is no Addon 'none'" in result.stderr) == (3, True)


def test_names_for_the_shell(management: Management, name: str) -> None:
    assert name in of_addons(Settings(kubeconfig=management.kubeconfig))


def test_kinds_that_are_said_to_be_in_namespaces_are(api: ApiServer) -> None:
    """And none of these groups is left out, but what nobody can store."""
    for group, kinds in NAMESPACED.items():
        found: dict[str, bool] = {}
        for version in versions(api, group):
            _, answer = api.call("GET", f"/apis/{version}" if group else "/api/v1")
            kept = (r for r in answer["resources"] if "/" not in r["name"] and "get" in r["verbs"])
            found |= {r["kind"]: r["namespaced"] for r in kept}
        assert {kind for kind, namespaced in found.items() if namespaced} == set(kinds.split()), group


def versions(api: ApiServer, group: str) -> list[str]:
    if not group:
        return ["v1"]
    code, answer = api.call("GET", f"/apis/{group}")
    assert code == 200, answer
    return [version["groupVersion"] for version in answer["versions"]]
