"""`kaas render`: what is printed, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.running import EXAMPLES, documents, example, kaas, write

TEAM_A = ("-f", EXAMPLES / "team-a.yaml", "-f", EXAMPLES / "site-lab.yaml", "-f", EXAMPLES / "releases.yaml")


def test_everything_is_printed_in_the_order_in_which_it_is_applied() -> None:
    result = kaas("render", *TEAM_A)
    assert result.exit_code == 0
    assert [o["kind"] for o in documents(result.stdout)] == [
        "OpenStackClusterIdentity",
        "OpenStackClusterTemplate",
        "KubeadmControlPlaneTemplate",
        "OpenStackMachineTemplate",
        "KubeadmConfigTemplate",
        "OpenStackMachineTemplate",
        "ClusterClass",
        "Cluster",
    ]


def test_only_the_cluster_when_asked() -> None:
    (cluster,) = documents(kaas("render", "--only-cluster", *TEAM_A).stdout)
    assert cluster["apiVersion"] == "cluster.x-k8s.io/v1beta2"
    assert cluster["metadata"]["name"] == "team-a"


def test_json_is_one_list_that_kubectl_takes() -> None:
    found = json.loads(kaas("render", "-o", "json", *TEAM_A).stdout)
    assert found["kind"] == "List"
    assert len(found["items"]) == 8


def test_a_directory_holds_every_file_and_shared_objects_are_printed_once() -> None:
    found = documents(kaas("render", "-f", EXAMPLES).stdout)
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in found]
    assert len(names) == len(set(names))
    assert {o["metadata"]["name"] for o in found if o["kind"] == "Cluster"} >= {"team-a", "team-dev"}


def test_stdin_is_read() -> None:
    text = "---\n".join((EXAMPLES / n).read_text() for n in ("team-dev.yaml", "site-dev.yaml", "releases.yaml"))
    assert kaas("render", "-f", "-", stdin=text).exit_code == 0


@pytest.mark.parametrize("place", [("-n", "mine", "render"), ("render", "-n", "mine")])
def test_namespace_is_for_clusters_without_one(tmp_path: Path, place: tuple[str, ...]) -> None:
    cluster = example("team-a.yaml")
    del cluster["metadata"]["namespace"]
    file = write(tmp_path, cluster)
    result = kaas(*place, "--only-cluster", "-f", file, *TEAM_A[2:])
    assert documents(result.stdout)[0]["metadata"]["namespace"] == "mine"


def test_secrets_beside_are_no_fault(tmp_path: Path) -> None:
    file = write(tmp_path, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lab"}, "data": {}})
    assert kaas("render", "-f", file, *TEAM_A).exit_code == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("team-a.yaml", "releases.yaml"), "spec.site: Site 'lab' is not among the files (they have: none)"),
        (("team-a.yaml", "site-lab.yaml"), "spec.version: there is no Release for v1.36.1"),
        (("releases.yaml",), "there is no Cluster in the files"),
    ],
)
def test_what_is_missing_is_named_with_the_way_out(files: tuple[str, ...], said: str) -> None:
    result = kaas("render", *(a for f in files for a in ("-f", EXAMPLES / f)))
    assert result.exit_code == 2
    assert said in result.stderr
    assert "`-f`" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"site": "elsewhere"}, "spec.site: Site 'elsewhere' is not among the files (they have: lab)"),
        ({"version": "v1.30.1"}, "spec.version: there is no Release for v1.30.1"),
        ({"controlPlane": {"flavor": "huge"}}, "spec.controlPlane.flavor: Site lab offers no flavor 'huge'"),
        ({"version": 1.36}, "spec.version: must be text: put it in quotes"),
        ({"nodePool": []}, "spec.nodePool: is not a field"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    file = write(tmp_path, example("team-a.yaml", **changed))
    result = kaas("render", "-f", file, *TEAM_A[2:])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "'team-a'" in result.stderr
    assert not result.stdout


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, example("team-a.yaml", version=1), {"apiVersion": "v1", "kind": "Pod"}, {"kind": "Cluster"})
    said = kaas("render", "-f", file).stderr
    assert "document 2: kind: 'Pod' is not for kaas" in said
    assert "document 3: Cluster: apiVersion: is None: write kaas.internal/v1alpha1" in said


def test_a_file_that_is_not_there() -> None:
    result = kaas("render", "-f", "nowhere.yaml")
    assert result.exit_code == 2
    assert "kaas: nowhere.yaml: No such file or directory" in result.stderr


def test_a_file_without_objects(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    result = kaas("render", "-f", empty)
    assert result.exit_code == 2
    assert "there is nothing in the files" in result.stderr
