"""From the ConfigMap of a version to its objects."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from kaas.addons.manifests import MOST_OBJECTS, Bundle, Problem, bundle, bundle_of, labelled
from kaas.addons.yaml_documents import documents

CRD = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: lights.example.org}}"
NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}"


def text(name: str, **more: Any) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "x"}, **more})


def config_map(*values: str, **more: Any) -> dict[str, Any]:
    meta = {"name": "exporter-1.8.2", "namespace": "kaas-system"}
    data = {f"{number}.yaml": value for number, value in enumerate(values)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True, "data": data, **more}


def of(*values: str, **more: Any) -> Bundle:
    return bundle_of(config_map(*values, **more), "exporter-1.8.2")


def names(found: Bundle) -> list[str]:
    return [obj["metadata"]["name"] for obj in found.objects]


def test_what_others_need_comes_first_and_the_rest_in_the_order_in_which_it_is_written() -> None:
    found = of("\n---\n".join([text("b"), "", text("a"), NAMESPACE]), f"# first\n---\n{text('c')}\n---\n{CRD}\n---\n")
    assert names(found) == ["monitoring", "lights.example.org", "b", "a", "c"]


def test_keys_are_read_in_their_order() -> None:
    data = {"b.yaml": text("second"), "a.yaml": text("first")}
    assert names(of(data=data)) == ["first", "second"]


def test_a_list_is_what_it_lists() -> None:
    listed = f"{{apiVersion: v1, kind: List, items: [{text('a')}, {{kind: List, items: [{text('b')}]}}]}}"
    assert names(of(listed)) == ["a", "b"]


def test_what_only_a_server_says_is_left_out() -> None:
    meta = {"name": "a", "namespace": "", "uid": "1", "resourceVersion": "2", "creationTimestamp": None, "labels": None}
    (found,) = of(text("a", status={"ready": True}, metadata=meta)).objects
    assert found == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    assert labelled(found, "exporter")["metadata"]["labels"] == {
        "kaas.internal/add-on": "exporter",
        "app.kubernetes.io/managed-by": "kaas",
    }


def test_labels_are_added_to_those_that_there_are_and_leave_the_object_as_it_was() -> None:
    (found,) = of(
        text("a", metadata={"name": "a", "labels": {"app.kubernetes.io/managed-by": "Helm", "x": "y"}})
    ).objects
    assert labelled(found, "exporter")["metadata"]["labels"] == {
        "x": "y",
        "kaas.internal/add-on": "exporter",
        "app.kubernetes.io/managed-by": "kaas",
    }
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm", "x": "y"}


def test_the_digest_is_of_the_data_as_they_are_so_that_whoever_reads_yaml_otherwise_agrees() -> None:
    data = {"b.yaml": text("a") + "# é\n", "a.yaml": text("b")}
    as_json = '{"a.yaml":' + json.dumps(text("b")) + ',"b.yaml":' + json.dumps(text("a") + "# é\n", ensure_ascii=False)
    found = bundle(data, "it")
    assert found.digest == hashlib.sha256((as_json + "}").encode()).hexdigest()
    assert bundle(dict(sorted(data.items())), "it").digest == found.digest
    other = bundle({**data, "b.yaml": text("a")}, "it")
    assert (other.objects, other.digest == found.digest) == (found.objects, False)


@pytest.mark.parametrize(
    ("written", "content"),
    [
        ("- =\n- '!='", ["=", "!="]),
        ("ports: [53:53, 22:30:00]", {"ports": ["53:53", "22:30:00"]}),
        ("day: 2026-12-01", {"day": "2026-12-01"}),
        ("mode: [0644, 0o644, 0x1F, -3, 1_000]", {"mode": [420, 420, 31, -3, 1000]}),
        ("share: [0.5, 1e3, 1.5e-3, .5]", {"share": [0.5, 1000.0, 0.0015, 0.5]}),
        ("version: [1.8.2, v1, '1', 08, 1.]", {"version": ["1.8.2", "v1", "1", "08", 1.0]}),
        ("on: [yes, no, y, ~, null, '']", {"true": [True, False, "y", None, None, ""]}),
        ("8080: http", {"8080": "http"}),
        ("a: &a {x: [1]}\nb: *a\nc: {<<: *a, y: 2, x: 3}", {"a": {"x": [1]}, "b": {"x": [1]}, "c": {"x": 3, "y": 2}}),
    ],
)
def test_plain_words_are_what_kubectl_reads(written: str, content: Any) -> None:
    assert list(documents(written)) == [(1, content)]


def test_what_is_written_once_and_repeated_is_not_shared() -> None:
    ((_, content),) = documents("a: &a {x: 1}\nb: *a\n")
    content["b"]["x"] = 2
    assert content["a"] == {"x": 1}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1}\n" + "".join(
    f"{after}: &{after} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "there is no ConfigMap kaas-system/exporter-1.8.2: create it"),
        (config_map(text("a"), immutable=False), "is not immutable"),
        (config_map(text("a"), binaryData={"b": "AA=="}), "binaryData"),
        (config_map(), "has no object"),
        (config_map("# nothing\n---\n"), "has no object"),
        (config_map(data=None), "has no object"),
        (config_map(text("a"), "a: [1"), "key 1.yaml: not YAML"),
        (config_map("a: 1\na: 2"), "'a' is written twice: remove one"),
        (config_map("a: !!binary AAAA"), "key 0.yaml: document 1: JSON cannot say this"),
        (config_map("a: .nan"), "JSON cannot say this"),
        (config_map("? [a, b]\n: 1"), "not YAML"),
        (config_map("--- !!python/object/apply:os.system [ls]"), "not YAML"),
        (config_map(BOMB), "aliases repeat"),
        (config_map(MERGED), "aliases repeat"),
        (config_map("a: &a [*a]"), r"the alias \*a stands for nothing"),
        (config_map("[" * 500 + "]" * 500), "levels"),
        (config_map("[" * 500_000), "nesting depth"),
        (config_map(f"{text('a')}\n---\nhello"), "key 0.yaml, document 2: it is no object"),
        (config_map("{kind: ConfigMap, metadata: {name: a}}"), "document 1: apiVersion is missing: set it"),
        (config_map("{apiVersion: v1, metadata: {name: a}}"), "document 1: kind is missing: set it"),
        (config_map("{apiVersion: v1, kind: Pod}"), "metadata.name of Pod is missing"),
        (config_map("{apiVersion: v1, kind: Pod, metadata: {name: 1}}"), "metadata.name of Pod is missing, or no text"),
        (config_map("{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}"), "generateName.*give it a name"),
        (config_map("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: 1}}"), "namespace must be text"),
        (config_map("{apiVersion: v1, kind: Pod, metadata: {name: a, labels: [x]}}"), "Pod a: metadata.labels must"),
        (config_map("{apiVersion: v1, kind: List, items: {a: b}}"), "items of a List must be a list"),
        (config_map("{apiVersion: v1, kind: List, items: [a]}"), "document 1, item 1: it is no object"),
        (
            config_map(text("a"), text("a")),
            "key 1.yaml, document 1: ConfigMap a stands there twice, first in key 0.yaml",
        ),
        (config_map("{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}"), "every Cluster has it"),
        (
            config_map(text("a", metadata={"name": "kaas-add-on-x", "namespace": "kube-system"})),
            "names that begin with kaas-add-on- are kaas's own",
        ),
        (
            config_map("\n---\n".join(text(f"a{number}") for number in range(MOST_OBJECTS + 1))),
            "make two add-ons of it",
        ),
        (config_map("#" * 600_000, "#" * 600_000), "more than a MiB"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place_and_the_way_out(found: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(Problem, match=words) as problem:
        bundle_of(found, "exporter-1.8.2")
    assert "ConfigMap kaas-system/exporter-1.8.2" in str(problem.value)


def test_the_same_object_in_another_version_of_its_kind_stands_there_twice() -> None:
    with pytest.raises(Problem, match="twice"):
        of(text("a", apiVersion="apps/v1", kind="Deployment"), text("a", apiVersion="apps/v1beta1", kind="Deployment"))


def test_files_that_are_no_config_map_yet_are_read_alike() -> None:
    found = bundle({"exporter.yaml": text("a")}, "exporter.yaml")
    assert found.objects == of(text("a")).objects
