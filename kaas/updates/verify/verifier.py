"""Looks at a Cluster before an update and after each step, and says whether it is well."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

from kaas.api.site import SiteMetrics
from kaas.api.update_status import Baseline, UpdateStep
from kaas.api.verification import BuiltIn
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import NotFound
from kaas.kube.ports import Source, Times
from kaas.kube.times import whole
from kaas.updates.run import ADD_ONS, VERIFICATION, Case, ClusterKey, Verdict
from kaas.updates.verify import jobs, looking
from kaas.updates.verify.answers import ReadSecret, answer
from kaas.updates.verify.asked import STEP, VERSION, Asked, Query, answered, asked, job_name, run_of
from kaas.updates.verify.baseline import baseline_of
from kaas.updates.verify.checks import examined
from kaas.updates.verify.course import CLUSTER, Course
from kaas.updates.verify.facts import Facts, Outcome
from kaas.updates.verify.judging import GRACE, judge
from kaas.updates.verify.judging import Times as Deadlines
from kaas.updates.verify.nodes import gpus_of_pools, machine_facts, machines_of
from kaas.updates.verify.probe import Workloads
from kaas.updates.verify.promql import QueryFailed

PATIENCE: Final = 3.0
"""Seconds for which a verdict is waited for: a Cluster that does not answer must not keep others waiting."""
QUERY: Final = 10.0
"""Seconds that one question to the metrics may take."""
_BEFORE: Final = "Before"  # stands for a step
_WITH_ADD_ONS: Final = frozenset({ADD_ONS, VERIFICATION})  # steps after which add-ons are at their new versions
_MEASURED: Final = frozenset({BuiltIn.API_SERVER_ERRORS, BuiltIn.API_SERVER_LATENCY})


class Verifier:
    """Looks at Clusters, one at a time each, in tasks of their own. One event loop's thread only.

    Ask again and again, some seconds apart, until the answer is not None. `Case.cluster` is to have in its status what
    was said last: the baseline, and since when the step is verified.
    """

    def __init__(
        self, workloads: Workloads, store: Source, read_secret: ReadSecret, clock: Times, patience: float = PATIENCE
    ) -> None:
        self._workloads = workloads
        self._store = store
        self._read_secret = read_secret
        self._clock = clock
        self._patience = patience
        self._courses: dict[ClusterKey, Course] = {}

    async def verify(self, case: Case, step: str, now: datetime) -> Verdict:
        """Whether the Cluster is well after a step: ControlPlane, Pool/<name>, or Verification for all that changed.

        None while it may settle or is not known; False from `settleSeconds` after the step on, or when a Job has
        failed. After False the next call begins anew.
        """
        said, course = asked(case.cluster, case.site), self._course(case, step, now)
        await course.look(partial(self._examine, course, case, step, said), now, self._patience)
        verdict = judge(course.outcomes, _deadlines(course, said), now)
        if verdict.passed is False:
            self.forget(case.key)
        return verdict

    async def baseline(self, case: Case, now: datetime) -> Baseline | None:
        """How the Cluster is before an update; None while it is looked at, at most two minutes.

        What cannot be found out by then is left out of it, and then does not excuse anything later.
        """
        said, course = asked(case.cluster, case.site), self._course(case, _BEFORE, now)
        await course.look(partial(self._see, course, case, _BEFORE, said), now, self._patience)
        measured = course.facts.measured if course.facts else None
        unmetered = set(said.ignored) >= _MEASURED or not course.metered
        complete = course.facts is not None and (unmetered or bool(measured and measured.complete))
        if not complete and now < course.first + GRACE:
            return None
        self.forget(case.key)
        return baseline_of(course.facts, whole(now))

    def forget(self, key: ClusterKey) -> None:
        """Keep nothing of a Cluster, and look at it no longer."""
        if course := self._courses.pop(key, None):
            course.end()

    def _course(self, case: Case, step: str, now: datetime) -> Course:
        """The looks after this step: those after another are over."""
        said = _step_of(case, step)
        since = said.since if said and said.since else None
        run = run_of(case.began, step, since)
        course = self._courses.get(case.key)
        if course is None or course.run != run:
            self.forget(case.key)
            course = self._courses[case.key] = Course(case.key, run, since or now, now)
        return course

    async def _examine(self, course: Course, case: Case, step: str, said: Asked) -> list[Outcome]:
        if course.held is None:
            found = await self._see(course, case, step, said)
            found += await asyncio.gather(*(self._answer(said.metrics, q, case) for q in said.queries))
            if not all(o.holds for o in found):
                return found
            course.held = found
        return [*course.held, *await self._run_jobs(course, case, step, said)]

    async def _see(self, course: Course, case: Case, step: str, said: Asked) -> list[Outcome]:
        course.facts = await self._facts(course, case, step, said)
        return examined(course.facts, said.ignored)

    async def _facts(self, course: Course, case: Case, step: str, said: Asked) -> Facts:
        client = await self._workloads.client(case.key)
        gpus = gpus_of_pools(case.cluster, case.site)
        pools = gpus if step == _BEFORE else case.pools
        every = self._store.of_cluster(resources.MACHINE, *case.key)
        machines = tuple(machine_facts(m, gpus) for m in machines_of(step, pools, every))
        named = {f.gpu.resource for f in case.site.spec.flavors if f.gpu}
        nodes, managed, _ = await asyncio.gather(
            looking.nodes(client, named), looking.managed(client), self._measure(course, case, client, said)
        )
        add_ons = looking.add_ons(managed, nodes.values())
        unwell = await looking.unwell(client, {n.name for n in nodes.values() if not n.ready})
        measured = course.measuring.measured()
        update = case.cluster.status.update if case.cluster.status else None
        before = update.baseline if update else None
        version = str(case.aims.version)
        brought = frozenset(a.name for a in case.aims.add_ons) if step in _WITH_ADD_ONS else frozenset()
        return Facts(version, machines, nodes, unwell, add_ons, measured, before, course.metered, brought)

    async def _measure(self, course: Course, case: Case, client: KubeClient, said: Asked) -> None:
        if set(said.ignored) >= _MEASURED:
            return
        try:
            found = await looking.counters(client, case.cluster.spec.control_plane.replicas)
        except NotFound:  # only a simulated API server has none
            course.metered = False
            return
        for counters in found:
            course.measuring.add(counters, self._clock.now())

    async def _answer(self, metrics: SiteMetrics | None, question: Query, case: Case) -> Outcome:
        if metrics is None:
            way = f"set it, or take the check {question.name} out of spec.updates.verification.checks"
            return Outcome(question.name, False, f"Site {case.site.metadata.name} has no spec.metrics: {way}")
        try:
            value = await answer(metrics, question.expression, QUERY, self._read_secret)
        except QueryFailed as failure:
            return Outcome(question.name, False, str(failure))
        return answered(question, value)

    async def _run_jobs(self, course: Course, case: Case, step: str, said: Asked) -> list[Outcome]:
        if not said.jobs:
            return []
        client = await self._workloads.client(case.key)
        notes = {STEP: step, VERSION: str(case.aims.version)}
        each = (jobs.follow(client, j, job_name(j.name, course.run), notes, self._clock.now()) for j in said.jobs)
        return list(await asyncio.gather(*each))


def _step_of(case: Case, step: str) -> UpdateStep | None:
    update = case.cluster.status.update if case.cluster.status else None
    return next((s for s in update.steps if s.name == step), None) if update else None


def _deadlines(course: Course, said: Asked) -> Deadlines:
    own = {q.name: q.timeout for q in said.queries} | {j.name: j.timeout for j in said.jobs}
    last = max(course.since, course.seen or course.since)
    return Deadlines(course.since, course.first, said.settle, own | {CLUSTER: last - course.since + said.settle})
