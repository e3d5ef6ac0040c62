"""What is asked of a Cluster after a step, from what its owner says. Pure."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.cluster import Cluster
from kaas.api.constants import GROUP
from kaas.api.site import Site, SiteMetrics
from kaas.api.verification import BuiltIn, Check
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from kaas.updates.verify.facts import Outcome

STEP: Final = f"{GROUP}/update-step"
"""Annotation of a Job of a check and of its Pods: the step that it is run after."""
VERSION: Final = f"{GROUP}/update-version"
"""Annotation of the same: the version of Kubernetes that the Cluster is brought to."""
# What `kubectl create job --from=cronjob/...` puts on.
_BY_HAND: Final = ("cronjob.kubernetes.io/instantiate", "manual")
_KEPT: Final = 86400
"""Seconds for which a Job that has ended stays, so that a person can read its log."""
_GIVEN_UP: Final = timedelta(seconds=60)  # beyond the Job's own deadline
_HASH: Final = 8


@dataclass(frozen=True, slots=True)
class Query:
    """A question to the metrics. expression: ready to be asked. at_least, at_most: None for no bound."""

    name: str
    expression: str
    at_least: float | None
    at_most: float | None
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class JobRun:
    """A Job that is to be run. namespace, cron_job: what it is made of, in the workload cluster."""

    name: str
    namespace: str
    cron_job: str
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is asked of one Cluster after a step. metrics: None when the Site has none."""

    settle: timedelta
    ignored: Mapping[BuiltIn, str]
    metrics: SiteMetrics | None
    queries: tuple[Query, ...]
    jobs: tuple[JobRun, ...]


def asked(cluster: Cluster, site: Site) -> Asked:
    """From the Cluster's `spec.updates.verification` and its Site."""
    said = cluster.spec.updates.verification
    return Asked(
        settle=timedelta(seconds=said.settle_seconds),
        ignored={i.check: i.reason for i in said.ignored},
        metrics=site.spec.metrics,
        queries=tuple(q for c in said.checks if (q := _query(c, cluster))),
        jobs=tuple(j for c in said.checks if (j := _job_run(c))),
    )


def _query(check: Check, cluster: Cluster) -> Query | None:
    if (said := check.prom_ql) is None:
        return None
    expression = said.query
    for word, value in (("cluster", cluster.metadata.name), ("namespace", cluster.metadata.namespace or "")):
        expression = expression.replace(f"$({word})", value)
    return Query(check.name, expression, said.at_least, said.at_most, timedelta(seconds=check.timeout_seconds))


def _job_run(check: Check) -> JobRun | None:
    if (said := check.job) is None:
        return None
    return JobRun(check.name, said.namespace, said.cron_job, timedelta(seconds=check.timeout_seconds))


def answered(query: Query, value: float | None) -> Outcome:
    """Whether an answer is good. value: None when the question has none."""
    if value is None:
        way = "for no data to count as 0, end the query with `or vector(0)`"
        return Outcome(query.name, False, f"the metrics have no answer to {query.expression}: {way}")
    low = query.at_least is None or value >= query.at_least
    high = query.at_most is None or value <= query.at_most
    bounds = [f"at least {query.at_least:g}"] if query.at_least is not None else []
    bounds += [f"at most {query.at_most:g}"] if query.at_most is not None else []
    words = " and ".join(bounds)
    good = low and high  # neither is true of NaN
    return Outcome(query.name, good, f"{query.expression} is {value:g}, {'' if good else 'and not '}{words}")


def job_name(check: str, run: str) -> str:
    """Name of the Job of a check in one step of one update, always the same. run: tells the step from others."""
    return f"kaas-{check}-{hashlib.sha256(run.encode()).hexdigest()[:_HASH]}"


def run_of(began: datetime | None, step: str, since: datetime | None) -> str:
    """What tells the checks of one step of one update from all others."""
    return f"{stamp(began)} {step} {stamp(since)}"


def job_of(cron_job: Object, run: JobRun, name: str, notes: Mapping[str, str]) -> Object:
    """The Job to create, of a CronJob's template. notes: annotations of it and its Pods."""
    template: dict[str, Any] = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    meta, spec = template.get("metadata") or {}, template["spec"]
    seconds = int(run.timeout.total_seconds())
    spec["activeDeadlineSeconds"] = min(seconds, spec.get("activeDeadlineSeconds") or seconds)
    spec["ttlSecondsAfterFinished"] = _KEPT
    spec.pop("suspend", None)
    pods = spec["template"].get("metadata") or {}
    spec["template"]["metadata"] = {**pods, "annotations": {**(pods.get("annotations") or {}), **notes}}
    return {
        "apiVersion": resources.JOB.api_version,
        "kind": resources.JOB.kind,
        "metadata": {
            "name": name,
            "namespace": run.namespace,
            "labels": meta.get("labels") or {},
            "annotations": {**(meta.get("annotations") or {}), **dict([_BY_HAND]), **notes},
        },
        "spec": spec,
    }


def ended(job: Object, run: JobRun, now: datetime) -> Outcome:
    """How a Job has ended; that it has not, as long as it may still."""
    namespace, name = run.namespace, job["metadata"]["name"]
    by_type = {c["type"]: c for c in (job.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    if "Complete" in by_type:
        return Outcome(run.name, True, f"Job {namespace}/{name} has ended well")
    way = f"see `kubectl -n {namespace} logs job/{name}` in the Cluster, and delete the Job to have it run again"
    if failed := by_type.get("Failed"):
        why = ": ".join(w for w in (failed.get("reason"), failed.get("message")) if w) or "no reason given"
        return Outcome(run.name, False, f"Job {namespace}/{name} has failed ({why}); {way}", final=True)
    made = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    # The Job's own controller ends it at its deadline: only where that does not run, it is given up here, later.
    late = now >= made + run.timeout + _GIVEN_UP
    words = f"Job {namespace}/{name} runs since {stamp(made)}"
    if late:
        return Outcome(run.name, False, f"{words} and has not ended in time; {way}", final=True)
    return Outcome(run.name, False, words, running=True)
