"""When Clusters may be changed that chance has made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from kaas.kube.objects import Object
from kaas.kube.times import stamp
from tests.unit.updates.subjects import NOW

ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")


def maintenance(random: Random, rules: Sequence[str], *, most: int, days: int, longest: int) -> Object:
    """Up to two windows by these rules. most: exclusions. days: until the last begins. longest: days that one lasts."""
    windows = [
        {
            "recurrence": random.choice(rules),
            "start": f"{random.randint(0, 23):02}:{random.choice((0, 30)):02}",
            "durationMinutes": random.choice((30, 60, 240, 1440)),
            "timeZone": random.choice(ZONES),
        }
        for _ in range(random.randint(0, 2))
    ]
    exclusions = []
    for _ in range(random.randint(0, most)):
        start = NOW + timedelta(hours=random.randint(0, 24 * days))
        end = start + timedelta(hours=random.choice((1, 30, 24 * 14, 24 * longest)))
        scope = random.choice(("All", "Minor", "Nodes"))
        exclusions.append({"from": stamp(start), "until": stamp(end), "scope": scope, "reason": "because"})
    return {"windows": windows, "exclusions": exclusions}
