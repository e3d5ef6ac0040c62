"""Wrong manifests and wrong changes are refused with the field and the way out; good ones are not."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab.management import Management

from kaas.api.crd import crds
from kaas.api.load import ManifestError, load_file, parse
from tests.contract.api_server import ApiServer, path_of
from tests.contract.manifests import ALLOWED_CHANGES, GOOD, REFUSED_CHANGES, WRONG, Case

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
STORED_AT_ONCE = 30.0


@pytest.fixture(scope="module")
def server(management: Management) -> ApiServer:
    """API server with our kinds. A new kind is served a moment after its CRD is established, hence the wait."""
    api = ApiServer(management.kubeconfig)
    deadline = time.monotonic() + STORED_AT_ONCE
    while any(api.create(good, dryRun="All")[0] not in (201, 409) for good in GOOD.values()):
        assert time.monotonic() < deadline, [api.create(good, dryRun="All") for good in GOOD.values()]
        time.sleep(0.1)
    return api


@pytest.fixture
def existing(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The object that a case changes, stored, with its status."""
    case: Case = request.param
    code, stored = server.create(case.before)
    assert code == 201, stored
    if case.status:
        code, stored = server.call(
            "PATCH",
            f"{path_of(stored)}/status",
            {"status": case.status},
            content="application/merge-patch+json",
        )
        assert code == 200, stored
    yield stored
    server.call("DELETE", path_of(stored))


def _sent(case: Case, stored: dict[str, Any]) -> dict[str, Any]:
    return {**stored, **case.manifest, "metadata": stored["metadata"]}


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: str(crd["metadata"]["name"]))
def test_crd_is_established_and_structural(server: ApiServer, crd: dict[str, Any]) -> None:
    _, stored = server.call("GET", path_of_crd(crd))
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert "NonStructuralSchema" not in conditions


def path_of_crd(crd: dict[str, Any]) -> str:
    return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_api_server_refuses_and_says_what_to_do(server: ApiServer, case: Case) -> None:
    code, answer = server.create(case.manifest, dryRun="All")
    assert code in (400, 422), answer
    assert case.field_server in answer["message"]
    assert case.way_out in answer["message"]


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_server_side_apply_refuses_too(server: ApiServer, case: Case) -> None:
    code, answer = server.apply(case.manifest, dryRun="All")
    assert code >= 400, answer  # 500 where the manifest does not fit the schema's types: that is what the server says
    assert case.field_server.rpartition(".")[2].partition("[")[0] in answer["message"]


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_without_a_server_the_same_is_refused(case: Case) -> None:
    with pytest.raises(ManifestError) as refusal:
        parse(case.manifest, "team.yaml: document 1")
    (fault,) = refusal.value.faults
    assert fault.startswith(f"team.yaml: document 1: {case.manifest['kind']}")
    assert case.field in fault
    assert case.way_out_offline in fault


@pytest.mark.parametrize(("existing", "case"), [(c, c) for c in REFUSED_CHANGES], ids=str, indirect=["existing"])
def test_wrong_change_is_refused(server: ApiServer, existing: dict[str, Any], case: Case) -> None:
    code, answer = server.replace(_sent(case, existing))
    assert code == 422, answer
    assert case.field_server in answer["message"]
    assert case.way_out in answer["message"]


@pytest.mark.parametrize(("existing", "case"), [(c, c) for c in ALLOWED_CHANGES], ids=str, indirect=["existing"])
def test_good_change_is_taken(server: ApiServer, existing: dict[str, Any], case: Case) -> None:
    code, answer = server.replace(_sent(case, existing))
    assert code == 200, answer


@pytest.mark.parametrize("kind", GOOD)
def test_good_manifest_is_taken(server: ApiServer, kind: str) -> None:
    parse(GOOD[kind])
    code, answer = server.create(GOOD[kind], dryRun="All")
    assert code == 201, answer


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_examples_are_taken(server: ApiServer, example: Path) -> None:
    assert load_file(example)
    for document in yaml.load_all(example.read_text(), Loader=yaml.CSafeLoader):
        code, answer = server.create(document, dryRun="All")
        assert code == 201, answer


def test_defaults_of_the_server_are_those_of_the_models(server: ApiServer) -> None:
    manifest = copy.deepcopy(GOOD["cluster"])
    manifest["spec"] = {
        "version": "1.36",
        "site": "lab",
        "controlPlane": {"flavor": "a"},
        "nodePools": [{"name": "cpu", "flavor": "a", "gpu": {}, "repair": {}, "update": {}}],
        "repair": {},
        "updates": {"verification": {}},
    }
    _, stored = server.create(manifest, dryRun="All")
    ours = parse(manifest).to_json()["spec"]
    assert _without_empty(ours) == stored["spec"]


def _without_empty(value: Any) -> Any:
    text = json.dumps(value)
    return json.loads(text, object_hook=lambda found: {k: v for k, v in found.items() if v not in ([], {})})


def test_defaults_of_a_repair_policy_are_those_of_the_models(server: ApiServer) -> None:
    manifest = copy.deepcopy(GOOD["repair"])
    manifest["spec"] = {"steps": [{"action": "Drain"}], "signals": [{"name": "DiskPressure"}]}
    _, stored = server.create(manifest, dryRun="All")
    assert _without_empty(parse(manifest).to_json()["spec"]) == stored["spec"]


def test_two_managers_own_a_pool_each(server: ApiServer) -> None:
    base, other = copy.deepcopy(GOOD["cluster"]), copy.deepcopy(GOOD["cluster"])
    base["metadata"]["name"] = other["metadata"]["name"] = "shared"
    other["spec"]["nodePools"] = [{"name": "gpu", "flavor": "g1"}]
    for owner, manifest in (("base", base), ("other", other)):
        code, stored = server.apply(manifest, fieldManager=owner)
        assert code in (200, 201), stored
    server.call("DELETE", path_of(base))
    assert [pool["name"] for pool in stored["spec"]["nodePools"]] == ["cpu", "gpu"]
