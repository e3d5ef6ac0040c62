"""What is said of the checks after each step of an update."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from kaas.api.fields import DNS_LABEL, NamespaceName, ObjectName, pattern_rule
from kaas.api.model import ListMap, Model
from kaas.api.rules import Rule


class BuiltIn(StrEnum):
    """The checks that every Cluster gets."""

    NODES_READY = "NodesReady"
    SYSTEM_PODS = "SystemPods"
    API_SERVER_ERRORS = "ApiServerErrors"
    API_SERVER_LATENCY = "ApiServerLatency"
    ADD_ONS = "AddOns"


def _has_a_bound(query: dict[str, Any]) -> bool:
    return "atLeast" in query or "atMost" in query


def _bounds_in_order(query: dict[str, Any]) -> bool:
    return "atLeast" not in query or "atMost" not in query or query["atLeast"] <= query["atMost"]


class PromQL(Model):
    """A question to the Site's metrics, and which answers are good."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.atLeast) || has(self.atMost)",
            message="promQL takes atLeast, atMost or both: say which answers are good",
            check=_has_a_bound,
        ),
        Rule(
            cel="!has(self.atLeast) || !has(self.atMost) || self.atLeast <= self.atMost",
            message="atMost must not be less than atLeast: no answer would be good",
            check=_bounds_in_order,
            field=".atMost",
        ),
    )
    query: str = Field(min_length=1, max_length=2048)
    """Expression whose value is one number, as `sum(...)`; `$(cluster)` and `$(namespace)` in it are those of the
    Cluster."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """The lowest value that is good."""
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    """The highest value that is good."""


class JobCheck(Model):
    """A Job that is run in the Cluster, made of a CronJob there as `kubectl create job --from=cronjob/...` does."""

    namespace: NamespaceName
    """Namespace of the CronJob within the Cluster."""
    cron_job: ObjectName
    """Name of the CronJob; with `suspend: true` it is a template only."""


class Check(Model):
    """Something that a user wants to hold after a step."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.promQL) != has(self.job)",
            message="a check takes exactly one of promQL and job: set one, remove the other",
            check=lambda check: ("promQL" in check) != ("job" in check),
        ),
    )
    name: Annotated[
        str,
        Field(min_length=1, max_length=40),
        pattern_rule(DNS_LABEL, "name of a check must have only lower-case letters, digits and '-', as error-rate"),
    ]
    """Name of the check, unique in the Cluster; begins the name of its Job."""
    prom_ql: PromQL | None = Field(default=None, alias="promQL")
    """A question to the metrics of the Site (`spec.metrics`)."""
    job: JobCheck | None = None
    """A Job in the Cluster, which has to end well."""
    timeout_seconds: int = Field(default=600, ge=10, le=86400)
    """Seconds after which a check that does not hold has failed: from the end of the step, for a Job from its start."""


class Ignored(Model):
    """A check that every Cluster gets, and this one does not."""

    check: BuiltIn
    """Name of the check."""
    reason: str = Field(min_length=1, max_length=256)
    """Why, for people: told with each verdict."""


class Verification(Model):
    """What must hold after the control plane and after each pool before an update goes on."""

    settle_seconds: int = Field(default=600, ge=60, le=86400)
    """Seconds from the end of a step within which all must be well; after that the update stops."""
    ignored: Annotated[tuple[Ignored, ...], Field(max_length=5), ListMap("check")] = ()
    """Checks that are left out here."""
    checks: Annotated[tuple[Check, ...], Field(max_length=16), ListMap("name")] = ()
    """What is to hold beside what every Cluster is asked for; Jobs begin when all else holds."""
