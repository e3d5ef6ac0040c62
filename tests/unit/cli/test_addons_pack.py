"""`kaas addons pack`: manifests become a ConfigMap that the controller takes, or are refused in its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kaas.addons.manifests import MAX_SIZE, bundle_of
from kaas.api.addon import Addon
from kaas.api.load import load_file
from kaas.cli import manifests
from kaas.cli.addons_pack import as_yaml, config_map, keyed
from kaas.cli.apply import placed
from kaas.cli.exits import CliError
from tests.unit.cli.running import EXAMPLES, kaas

SOURCE = EXAMPLES / "addons" / "node-exporter.yaml"
PACKED = EXAMPLES / "addons" / "node-exporter-1.8.2.yaml"


def manifest(name: str, kind: str = "ConfigMap") -> str:
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: agents\n"


def packed(*words: str | Path, stdin: str | None = None) -> dict[str, Any]:
    result = kaas("addons", "pack", "agent", "1.8.2", *words, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    return found


# --- what comes out -----------------------------------------------------------------------------------------------


def test_the_example_is_what_the_command_makes_of_its_manifests() -> None:
    result = kaas("addons", "pack", "node-exporter", "1.8.2", "-f", SOURCE)
    assert result.stdout == PACKED.read_text()
    (addon,) = load_file(EXAMPLES / "addon.yaml")
    assert isinstance(addon, Addon)
    found = yaml.safe_load(PACKED.read_text())
    names = [v.manifests.config_map for v in addon.spec.versions]
    assert names == [found["metadata"]["name"]]
    assert [o["kind"] for o in bundle_of(found, names[0]).objects] == [
        "Namespace",
        "ServiceAccount",
        "Service",
        "DaemonSet",
    ]


def test_it_is_an_immutable_config_map_where_the_controller_looks() -> None:
    found = packed("-f", "-", stdin=manifest("a"))
    assert found == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "agent-1.8.2", "namespace": "kaas-system"},
        "immutable": True,
        "data": {"manifests.yaml": manifest("a")},
    }


def test_what_it_has_and_what_is_to_be_written_is_said_beside_it(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(manifest(name))
    (tmp_path / "space.yaml").write_text(manifest("agents", "Namespace"))
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", tmp_path)
    digest = bundle_of(yaml.safe_load(result.stdout), "agent-1.8.2").digest
    assert result.stderr.splitlines() == [
        "ConfigMap kaas-system/agent-1.8.2: 3 objects (1 Namespace, 2 ConfigMap)",
        f"SHA-256 {digest}",
        "apply it (`kaas apply -f`, `kubectl apply --server-side -f`), then add to spec.versions of Addon agent:",
        "  - version: 1.8.2",
        "    manifests: {configMap: agent-1.8.2}",
    ]


def test_the_lines_for_the_addon_are_what_an_addon_takes() -> None:
    said = kaas("addons", "pack", "agent", "1.8.2", "-f", "-", stdin=manifest("a")).stderr.splitlines()
    versions = yaml.safe_load("\n".join(said[-2:]))
    raw = {"apiVersion": "kaas.internal/v1alpha1", "kind": "Addon", "metadata": {"name": "agent"}}
    assert Addon.model_validate({**raw, "spec": {"versions": versions}}).spec.versions[0].version == "1.8.2"


def test_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "packed.yaml"
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", "-", "-o", file, stdin=manifest("a"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert yaml.safe_load(file.read_text())["data"] == {"manifests.yaml": manifest("a")}
    assert "1 object (1 ConfigMap)" in result.stderr


def test_files_are_applied_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    first, second = tmp_path / "z.yaml", tmp_path / "a.yaml"
    first.write_text(manifest("first"))
    second.write_text(manifest("second"))
    assert [*packed("-f", second, "-f", first)["data"]] == ["a.yaml", "z.yaml"]
    found = packed("-f", first, "-f", second, "-f", "-", stdin=manifest("third"))
    assert [*found["data"]] == ["1-z.yaml", "2-a.yaml", "3-manifests.yaml"]
    assert [o["metadata"]["name"] for o in bundle_of(found, "agent-1.8.2").objects] == ["first", "second", "third"]


NAMES = st.text(alphabet="abz09.-_ é/", max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=12))
@example(["..", "."])
@example(["a" * 300])
@example([f"{n}.yaml" for n in range(11)])
def test_keys_keep_the_order_and_are_keys(names: list[str]) -> None:
    found = keyed([(name, str(number)) for number, name in enumerate(names)])
    assert [found[key] for key in sorted(found)] == [str(number) for number in range(len(names))]
    for key in found:  # k8s.io/apimachinery/pkg/util/validation: IsConfigMapKey
        assert 0 < len(key) <= 253
        assert key != "."
        assert not key.startswith("..")
        assert all(c.isascii() and (c.isalnum() or c in "-._") for c in key)


@settings(max_examples=300)
@given(st.text(alphabet=" \n\t\r#:-|>'\"&*abé\u2028\x85\ufeff\x07", max_size=30))
@example("\n a\nb")
@example("a \nb\n\n")
@example("  a\nb")
@example("a\n# b")
def test_what_is_printed_is_read_as_it_was(text: str) -> None:
    found = config_map("agent", "1.8.2", [("a.yaml", text)])
    assert yaml.safe_load(as_yaml(found)) == found


def test_lines_stay_lines() -> None:
    assert "\n    kind: ConfigMap\n" in as_yaml(config_map("agent", "1.8.2", [("a.yaml", manifest("a"))]))


def test_it_may_be_applied_in_one_go_with_its_addon(tmp_path: Path) -> None:
    """Without a namespace it would be as any other object in that of the command."""
    other = tmp_path / "other.yaml"
    other.write_text(manifest("other").replace("  namespace: agents\n", ""))
    found = placed(manifests.read([EXAMPLES / "addon.yaml", PACKED, other]), "team-a", explicit=False)
    assert [(d.object["kind"], d.object["metadata"].get("namespace")) for d in found] == [
        ("ConfigMap", "kaas-system"),
        ("ConfigMap", "team-a"),
        ("Addon", None),
    ]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("Agent", "1.8.2", "Addon 'Agent': metadata.name must have at most 40 lower-case letters, digits and '-'"),
        ("a" * 41, "1.8.2", "metadata.name must have at most 40"),
        ("agent", "1.8", "spec.versions[0].version: must be a version of three numbers, as 1.8.2"),
        ("agent", "latest", "must be a version of three numbers, as 1.8.2"),
    ],
)
def test_names_that_no_addon_could_have(name: str, version: str, words: str) -> None:
    result = kaas("addons", "pack", name, version, "-f", SOURCE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([""], "ConfigMap kaas-system/agent-1.8.2 has no object"),
        (["a: ["], "key a0.yaml: "),
        (
            [manifest("a"), manifest("b") + "---\n" + manifest("a")],
            "key a1.yaml, document 2: ConfigMap a stands there twice",
        ),
        (["kind: Pod"], "key a0.yaml, document 1: apiVersion is missing: set it"),
        ([manifest("default", "Namespace")], "Namespace default: every Cluster has it"),
    ],
)
def test_what_the_controller_would_refuse(tmp_path: Path, texts: list[str], words: str) -> None:
    for number, content in enumerate(texts):
        (tmp_path / f"a{number}.yaml").write_text(content)
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: probes.example.com}
spec: {group: example.com, scope: %s, names: {kind: Probe, plural: probes}}
---
apiVersion: example.com/v1
kind: Probe
metadata: {name: p}
"""


def test_what_every_cluster_would_refuse_for_want_of_a_namespace() -> None:
    lost = manifest("a").replace("  namespace: agents\n", "")
    role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: r}\n"
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", "-", stdin=lost + role % "Role" + role % "ClusterRole")
    assert (result.exit_code, result.stdout) == (2, "")
    assert [each.split(" says ")[0].split()[-2:] for each in result.stderr.splitlines()] == [
        ["ConfigMap", "a"],
        ["Role.rbac.authorization.k8s.io", "r"],
    ]
    assert "its kind is in namespaces: set metadata.namespace" in result.stderr


def test_a_kind_of_its_own_crd_is_in_namespaces_when_that_says_so() -> None:
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", "-", stdin=CRD % "Namespaced")
    assert (result.exit_code, "Probe.example.com p says no namespace" in result.stderr) == (2, True)
    assert len(bundle_of(packed("-f", "-", stdin=CRD % "Cluster"), "agent-1.8.2").objects) == 2


def test_nothing_is_written_of_what_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "packed.yaml"
    assert kaas("addons", "pack", "agent", "1.8.2", "-f", "-", "-o", file, stdin="").exit_code == 2
    assert not file.exists()


def test_more_than_a_config_map_holds_is_told_in_bytes() -> None:
    config_map("agent", "1.8.2", [("a.yaml", "é" * (MAX_SIZE // 2))])
    words = r"the files have 1,048,578 bytes, and a ConfigMap holds 1,048,576: make two add-ons of them"
    with pytest.raises(CliError, match=words) as refused:
        config_map("agent", "1.8.2", [("a.yaml", "é" * (MAX_SIZE // 2)), ("b.yaml", "é")])
    assert refused.value.code == 2


def test_files_that_are_no_manifests(tmp_path: Path) -> None:
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", tmp_path / "none.yaml")
    assert (result.exit_code, "none.yaml: No such file" in result.stderr) == (2, True)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    result = kaas("addons", "pack", "agent", "1.8.2", "-f", tmp_path)
    assert (result.exit_code, "no text in UTF-8" in result.stderr) == (2, True)
