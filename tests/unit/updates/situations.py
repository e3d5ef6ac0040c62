"""Random Clusters with what Site, Releases and status say of them: any obstacle, or several at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATES_PAUSED
from kaas.api.release import Release
from kaas.updates import layers
from kaas.updates.facts import Ruling, Turn
from kaas.updates.standing import running_of
from kaas.updates.subject import Subject
from tests.unit.updates.subjects import NOW, READY, Object, raw_cluster, release, site, version

VERSIONS: Final = ("v1.36.1", "v1.36.1", "v1.36.1", "v1.35.9", "v1.36.3", "v1.37.0")
STEPS: Final = ("Announced", "Preflight", "ControlPlane", "Pool/cpu", "AddOns", "Verification", "Finished")
STATES: Final = ("Pending", "Running", "Held", "Failed")


class Situation:
    """One Cluster at one moment. problem: what is wrong with its maintenance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - the same again for the same seed
        self.now = NOW + timedelta(hours=self._random.randint(0, 24 * 9))
        cluster, where = self._cluster(), site()
        if self._rarely():
            where = site(updates={"maxVersion": "1.35"})
        calendar, self.problem = layers.calendar(cluster, None, where)
        self.subject = Subject.of(cluster, running_of(cluster), self._releases(), where, calendar, self._ruling())

    def _rarely(self, chance: float = 0.2) -> bool:
        return self._random.random() < chance

    def _time(self, least: int, most: int) -> str:
        return (self.now + timedelta(hours=self._random.randint(least, most))).isoformat()

    def _date(self, least: int, most: int) -> str:
        return f"{self.now + timedelta(days=self._random.randint(least, most)):%Y-%m-%d}"

    def _releases(self) -> list[Release]:
        found = []
        for text in sorted(set(VERSIONS)):
            regular = None if self._rarely(0.1) else self._date(-60, 0) if not self._rarely(0.3) else self._date(1, 40)
            past = regular is not None and datetime.fromisoformat(regular).date() <= self.now.date()
            ends = self._date(1, 90) if past and self._rarely() else None
            if past and text == "v1.36.1" and self._rarely(0.15):
                regular, ends = self._date(-90, -60), self._date(-50, -1)
            found.append(release(text, regular, ends))
        return found

    def _maintenance(self) -> Object:
        rule = self._random.choice(("FREQ=WEEKLY;BYDAY=TU", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU"))
        zone = "Nowhere/Land" if self._rarely(0.03) else "UTC"
        window = {"recurrence": rule, "start": "00:00", "timeZone": zone}
        windows = [{**window, "durationMinutes": self._random.choice((60, 1440, 1440))}]
        days = self._random.choice((1, 9, 900))
        until = (self.now + timedelta(days=days)).isoformat()
        exclusions = [{"from": self._time(-48, -1), "until": until, "reason": "because"}] if self._rarely(0.15) else []
        return {"windows": [] if self._rarely() else windows, "exclusions": exclusions}

    def _cluster(self) -> Cluster:
        asked = "1.36" if not self._rarely() else self._random.choice(("1.35", "v1.36.1", "v1.36.3"))
        wish = {"channel": "Regular" if not self._rarely() else self._random.choice(("Rapid", "None"))}
        wish["kubernetes"] = self._random.choice(
            ("Patch", "Patch", "None", "Patch" if asked.startswith("v") else "Minor")
        )
        raw = raw_cluster(asked, updates=wish, maintenance=self._maintenance(), status=self._status())
        pool = raw["spec"]["nodePools"][0]
        if self._rarely():
            pool["update"] = {"strategy": "Manual"}
        if self._rarely(0.15):
            raw["metadata"]["annotations"] = {ANNOTATION_UPDATES_PAUSED: "launch"}
        raw["metadata"]["generation"] = 2
        return Cluster.model_validate(raw)

    def _status(self) -> Object:
        running = None if self._rarely(0.03) else self._random.choice(VERSIONS)
        status: Object = {"version": running, "observedGeneration": 1 if self._rarely(0.05) else 2}
        if self._rarely(0.15):
            status["conditions"] = [{**READY, "status": "False", "message": "etcd has lost a member"}]
        if self._rarely():
            pools = [{"name": "cpu", "inFlight": 1, "unhealthy": 1}]
            status["repair"] = {"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": pools}
        if not self._rarely(0.05):
            status["update"] = self._update()
        return status | self._machines()

    def _machines(self) -> Object:
        """What they are made of, and what they could be made of."""
        found: Object = {"controlPlane": {"replicas": 3, "ready": 3, "upToDate": 3}}
        if self._rarely():
            found["controlPlane"]["certificatesEnd"] = self._time(-24, 24 * 90)
        if self._rarely():
            found |= {"classRevision": "old", "newestClassRevision": {"name": "new", "since": self._time(-900, -1)}}
        if self._rarely():
            found["image"] = "ubuntu-older"
        return found

    def _update(self) -> Object:
        """What the status tells of an update: anywhere on its way, stopped, held, or none at all."""
        found: Object = {"version": "v1.36.3", "change": "Patch", "reason": "OutsideMaintenance"}
        if self._rarely():
            found |= {"began": self._time(-20, -1), "target": "v1.36.1"}
            return found
        if self._rarely(0.4):
            found["began"] = self._time(-40, 0)
            found["target"] = self._random.choice(("v1.36.1", "v1.36.3"))
            found |= self._ledger()
        if self._rarely():
            severity = self._random.choice(("Block", "Warn"))
            checks = [{"check": "Webhooks", "severity": severity, "message": "one has no endpoint"}]
            found["preflight"] = {"checked": self._time(-2, 0), "findings": checks}
        return found

    def _ledger(self) -> Object:
        reached = self._random.randint(2, len(STEPS))
        states = ["Done"] * reached + [self._random.choice(STATES) for _ in STEPS[reached : reached + 1]]
        states += ["Pending"] * (len(STEPS) - len(states))
        steps: list[Object] = [{"name": n, "state": s} for n, s in zip(STEPS, states, strict=True)]
        for step in steps:
            if step["state"] == "Held" and self._rarely(0.3):
                step["reason"] = "WaitsForPerson"
        found: Object = {"steps": steps}
        if "Failed" in states:
            failed, since = STEPS[states.index("Failed")], self._time(-2, 0)
            found["stopped"] = {"since": since, "step": failed, "reason": "Because", "message": "a node is not Ready"}
        elif "Held" in states and self._rarely(0.5):
            found["hold"] = {"since": self._time(-2, 0), "message": "the window closed", "until": self._time(1, 99)}
        return found

    def _ruling(self) -> Ruling:
        return Ruling(*(self._turn() for _ in range(3)))

    def _turn(self) -> Turn | None:
        if not self._rarely():
            return None
        allowed, words = self._random.random() < 0.5, "stage canary is not through yet"
        image, revision = self._random.choice((None, "ubuntu-v1.36.1")), self._random.choice((None, "new"))
        brought = version("v1.36.3")
        return Turn("fleet", "broad", brought, allowed, "RolloutPending", words, None, image, revision)
