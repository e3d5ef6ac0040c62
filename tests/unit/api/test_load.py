"""Manifests from text: what is found, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaas.api.cluster import Cluster
from kaas.api.load import ManifestError, load, load_file, parse
from kaas.api.release import Release

RELEASE = """
apiVersion: kaas.internal/v1alpha1
kind: Release
metadata: {name: v1.36.1, creationTimestamp: 2026-01-02T03:04:05Z}
spec: {version: v1.36.1, image: node}
"""


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as refusal:
        load(text, "a.yaml")
    return refusal.value.faults


def test_documents_in_order_and_empty_ones_passed_over() -> None:
    first, second = load(f"---\n---{RELEASE}---{RELEASE.replace('v1.36.1', 'v1.36.2')}---\n", "a.yaml")
    assert isinstance(first, Release)
    assert isinstance(second, Release)
    assert (first.spec.version, second.spec.version) == ("v1.36.1", "v1.36.2")


def test_faults_of_all_documents_are_told() -> None:
    wrong = RELEASE.replace("image: node", 'imag: node, image: ""')
    first, second, third = faults(f"{RELEASE}---{wrong}---\nkind: Pod\napiVersion: v1\n")
    assert "a.yaml: document 2: Release 'v1.36.1': spec.image: " in first
    assert "a.yaml: document 2: Release 'v1.36.1': spec.imag: is not a field" in second
    assert third == "a.yaml: document 3: Pod: apiVersion: is 'v1': write kaas.internal/v1alpha1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "a.yaml: not YAML:"),
        ("a: 1\nb: 2\na: 3", "'a' is written twice: remove one"),
        ("- a", "document 1: kind: is required: write one of Cluster, Site, Release"),
        ("kind: Cluster", "Cluster: apiVersion: is None: write kaas.internal/v1alpha1"),
        ("kind: Klaster\napiVersion: kaas.internal/v1alpha1", "'Klaster' is not known: write one of Cluster"),
        (RELEASE.replace("name:", "nam:"), "metadata.name: is required: set it"),
        (RELEASE.replace("{name:", "{label: {}, name:"), "metadata.label: is not a field"),
    ],
)
def test_what_is_no_manifest(text: str, said: str) -> None:
    (fault,) = faults(text)
    assert said in fault


def test_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(RELEASE.replace("Release", "Rel"))
    with pytest.raises(ManifestError, match=r"b\.yaml: document 1"):
        load_file(file)


def test_defaults_are_filled_in_and_models_are_frozen() -> None:
    cluster = parse(
        {
            "apiVersion": "kaas.internal/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "a"},
            "spec": {
                "version": "1.36",
                "site": "lab",
                "controlPlane": {"flavor": "f"},
                "nodePools": [{"name": "p", "flavor": "f"}],
            },
        }
    )
    assert isinstance(cluster, Cluster)
    assert cluster.spec.control_plane.replicas == 3
    assert cluster.spec.node_pools[0].gpu.drain_timeout_seconds == 7200
    assert cluster.spec.network.services == "10.128.0.0/12"
    with pytest.raises(ValueError, match="frozen"):
        cluster.spec.site = "other"  # type: ignore[misc]
