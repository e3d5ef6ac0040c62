"""Names that users of the feature write or see: annotations, the gate, labels, the condition, field managers."""

from __future__ import annotations

from typing import Final

from kaas.api.constants import GROUP

PREFIX: Final = f"{GROUP}/load-"

# On a PersistentVolumeClaim.
SOURCE: Final = f"{PREFIX}source"
"""`s3://bucket/prefix/`, `gs://…`, `https://…`, `hf://…`. With `/` at its end a directory, else one object."""
PATH: Final = f"{PREFIX}path"
"""Directory in the volume; `/` when left out."""
CREDENTIALS: Final = f"{PREFIX}credentials"
"""Secret of our types in the claim's namespace; without it requests are anonymous."""
SERVICE_ACCOUNT: Final = f"{PREFIX}service-account"
"""ServiceAccount of the loader's Pod, for keyless access by its token; `default` when left out."""
ENDPOINT: Final = f"{PREFIX}endpoint"
REGION: Final = f"{PREFIX}region"
INCLUDE: Final = f"{PREFIX}include"
"""Globs with commas between: only these."""
EXCLUDE: Final = f"{PREFIX}exclude"
ID: Final = f"{PREFIX}id"
"""Free text: another one has the claim loaded anew."""
DELETE: Final = f"{PREFIX}delete"
"""`true`: files that the source has not are deleted below `load-path`."""
VERIFY: Final = f"{PREFIX}verify"
"""`auto` (default), `size` or `off`."""
WAIT: Final = f"{PREFIX}wait"
"""`true` (default): Pods wait for the data. `false` on the claim for all of its Pods, or on a Pod for itself."""
CACHE: Final = f"{PREFIX}cache"
"""`none` (default) or `snapshot`."""
BIND: Final = f"{PREFIX}bind"
"""`wait` (default): where the first Pod is to run decides. `immediate`: the loader decides."""
OWNER: Final = f"{PREFIX}owner"
"""`uid:gid[:mode]` of all that is loaded."""
REQUESTER_PAYS: Final = f"{PREFIX}requester-pays"
SHARDS: Final = f"{PREFIX}shards"
"""Pods that load side by side, from 1 to 64; more than one needs ReadWriteMany."""
TIMEOUT: Final = f"{PREFIX}timeout"
"""Seconds for all attempts together."""

GATE: Final = f"{GROUP}/data-load"
"""Scheduling gate of Pods that wait for data."""
WAITING_LABEL: Final = f"{GROUP}/data-load"
"""Label beside the gate, value `waiting`, by which waiting Pods are watched."""
WAITING: Final = "waiting"
LOADER_LABEL: Final = f"{GROUP}/loads"
"""Label of a loader's Job and Pods: uid of its claim."""
CACHE_KEY_LABEL: Final = f"{GROUP}/cache-key"
"""Label of a VolumeSnapshot of the cache and of a claim that was born of it or looked for it."""

CONDITION: Final = f"{GROUP}/DataLoaded"
"""Condition type of a PersistentVolumeClaim. Its status says whether the data of the current `load-id` is there."""
MANAGER: Final = "kaas-volumes"
"""Field manager of our condition and of the objects that the controller makes."""
