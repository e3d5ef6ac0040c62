"""Names that every part of the project shares."""

from __future__ import annotations

from typing import Final

GROUP: Final = "kaas.internal"
"""API group, and prefix of labels and annotations. `.internal` is reserved for private use: it clashes with no one."""

VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

FIELD_MANAGER: Final = "kaas"
"""Field manager of server-side apply for objects."""

STATUS_MANAGER: Final = "kaas-status"
"""Field manager of server-side apply for status."""

SYSTEM_NAMESPACE: Final = "kaas-system"
"""Where the controller runs, and where a Site's credentials are looked for unless it says otherwise."""

FINALIZER: Final = f"{GROUP}/cluster"
"""Keeps a Cluster until everything that it made is gone."""

LABEL_CLUSTER: Final = f"{GROUP}/cluster"
LABEL_POOL: Final = f"{GROUP}/pool"
LABEL_SITE: Final = f"{GROUP}/site"
LABEL_REVISION: Final = f"{GROUP}/class-revision"
