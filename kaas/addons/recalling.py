"""What is in a Cluster of add-ons of which nothing is known any more, as when the management cluster was restored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kaas.addons.inventory import from_object, ref_for
from kaas.addons.told import Entries
from kaas.addons.visit import Visit
from kaas.api.addon_status import InstalledAddOn
from kaas.kube.errors import KubeError


async def recalled(visit: Visit, names: Iterable[str], now: datetime) -> Entries:
    """What is to be said of add-ons that are to be put there and are there already, all of them. Others are not in it.

    When not all of them could be asked for, the visit is over, so that none is put there unseen.
    """
    found = {}
    for name in names:
        hand = None if visit.is_over else await visit.hand()
        if hand is None:
            break
        try:
            there = from_object(await hand.get(ref_for(name)))
            if there.is_whole:
                said = {"version": there.version, "digest": there.digest, "since": now}
                found[name] = InstalledAddOn(name=name, state="Starting", **said)
        except ValueError:  # it cannot be read, which is told when it is put there
            continue
        except KubeError as failure:
            visit.lost(failure)
    return found
