"""Jobs of checks, run in the workload cluster. Each call looks at what is there: it may be killed anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict, Forbidden, Invalid
from kaas.kube.objects import Object, Ref
from kaas.updates.verify.asked import JobRun, ended, job_of
from kaas.updates.verify.facts import Outcome


async def follow(client: KubeClient, run: JobRun, name: str, notes: Mapping[str, str], now: datetime) -> Outcome:
    """How the Job of a check stands; it is created when it is not there. Raises Unavailable.

    name: of the Job. notes: annotations of it and its Pods.
    """
    ref = Ref(resources.JOB.api_version, resources.JOB.kind, run.namespace, name)
    if (job := await client.get(ref)) is not None:
        return ended(job, run, now)
    cron_job = await client.get(
        Ref(resources.CRON_JOB.api_version, resources.CRON_JOB.kind, run.namespace, run.cron_job)
    )
    if cron_job is None:
        way = f"make it, or take the check {run.name} out of spec.updates.verification.checks"
        return Outcome(run.name, False, f"the Cluster has no CronJob {run.namespace}/{run.cron_job}: {way}")
    return await _begun(client, run, job_of(cron_job, run, name, notes))


async def _begun(client: KubeClient, run: JobRun, job: Object) -> Outcome:
    called = f"Job {run.namespace}/{job['metadata']['name']}"
    try:
        await client.create(job)
    except Conflict:
        return Outcome(run.name, False, f"{called} was begun by somebody else a moment ago", running=True)
    except (Invalid, Forbidden) as refusal:
        why = "; ".join(map(str, refusal.causes)) or refusal.message
        way = f"correct the CronJob {run.namespace}/{run.cron_job}"
        return Outcome(run.name, False, f"{called} is refused by the Cluster ({why}): {way}")
    return Outcome(run.name, False, f"{called} has begun", running=True)
