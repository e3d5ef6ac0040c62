"""docs/volumes.md has every annotation, reason and metric of the code, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from kaas.kube.objects import Object
from kaas.loader import report
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.job import POLICY
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.reasons import FINAL, Reason
from kaas.volumes.webhook.metrics import Metrics

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / "docs" / "volumes.md").read_text()
TOLD_AS_RETRY = {report.Reason.INTERRUPTED}
"""How an attempt ends that is followed by another: no condition says it."""


def section(title: str) -> str:
    """Text of a section."""
    (found,) = (part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if part.startswith(title))
    return found


def rows(title: str) -> list[str]:
    """First cells of a section's tables, without their headings."""
    cells = [line.split("|")[1].strip() for line in section(title).splitlines() if line.startswith("|")]
    return [cell for cell in cells if cell.startswith("`")]


def test_every_annotation_is_explained_and_no_other() -> None:
    names = {value for value in vars(terms).values() if isinstance(value, str) and value.startswith(terms.PREFIX)}
    written = {f"kaas.internal/{cell.strip('`')}" for cell in rows("Annotations")}
    assert written == names - {terms.PREFIX}
    for name in written:
        assert not [fault for fault in request_of({name: ""}).faults if "is not known" in fault.message]


def test_every_reason_says_what_to_do_and_no_other() -> None:
    told = {str(reason) for reason in (*Reason, *report.Reason) if reason not in TOLD_AS_RETRY}
    assert told >= FINAL
    assert {cell.strip("`") for cell in rows("What the claim says")} == told


def test_every_metric_is_explained_and_no_other() -> None:
    registry = CollectorRegistry()
    VolumeMetrics(registry)
    written = {re.sub(r"\{.*", "", cell.strip("`")) for cell in rows("Metrics") if " " not in cell and "(" not in cell}
    assert written == {*_names(registry), *_names(Metrics().registry)}


def _names(registry: CollectorRegistry) -> Iterable[str]:
    """As they are asked for: counters with `_total`."""
    for family in registry.collect():
        if family.name.startswith("kaas_"):
            yield f"{family.name}_total" if family.type == "counter" else family.name


def test_alerts_are_about_metrics_that_there_are() -> None:
    names = {re.sub(r"\{.*", "", cell.strip("`")) for cell in rows("Metrics")}
    for used in re.findall(r"kaas_volume[a-z_]+", section("Metrics")):
        assert used.removesuffix("_bucket") in names


def test_the_example_is_right_and_the_quick_start_is_of_it() -> None:
    objects: list[Object] = list(yaml.safe_load_all((PROJECT / "examples" / "volumes" / "claim.yaml").read_text()))
    (claim,) = (obj for obj in objects if obj["kind"] == "PersistentVolumeClaim")
    assert request_of(claim["metadata"]["annotations"]).spec
    shown = yaml.safe_load(
        "\n".join(x for x in section("Quick start").split("\n\n    $")[0].splitlines() if x[:4] == " " * 4)
    )
    assert shown["metadata"]["annotations"] == claim["metadata"]["annotations"]
    (pod,) = (obj for obj in objects if obj["kind"] == "Pod")
    mounted = [v["persistentVolumeClaim"]["claimName"] for v in pod["spec"]["volumes"]]
    assert mounted == [claim["metadata"]["name"]] == [shown["metadata"]["name"]]


def test_names_that_users_meet_are_those_of_the_code() -> None:
    for name in (POLICY, terms.GATE, terms.CONDITION, f"{terms.WAITING_LABEL}={terms.WAITING}"):
        assert name in TEXT
