"""Node images that there are: what Releases say of each version, and what Sites name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from kaas.api.release import Release
from kaas.api.rollout_carried import CarriedImage
from kaas.api.site import Site
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion
from kaas.updates import images
from kaas.updates.releases import by_version

Place = tuple[KubernetesVersion, str]
"""A version and the Site that it runs on."""


class KnownImages:
    """All of them."""

    def __init__(self, releases: Iterable[Release] = (), sites: Iterable[Site] = ()) -> None:
        self._releases = by_version(releases)
        self._named: Mapping[str, Mapping[str, str]] = {
            site.metadata.name: {i.version: i.name for i in site.spec.images} for site in sites
        }

    def named(self, version: KubernetesVersion, site: str) -> str | None:
        """What a Site names for a version; None when it names none."""
        return self._named.get(site, {}).get(str(version))

    def is_for(self, image: str, version: KubernetesVersion, site: str, now: datetime) -> bool:
        """As `images.is_for`."""
        return images.is_for(image, self._of(version), self.named(version, site), now)

    def is_newer(self, image: str, present: str, version: KubernetesVersion, site: str) -> bool:
        """As `images.is_newer`."""
        return images.is_newer(image, present, self._of(version), self.named(version, site))

    def of_channel(self, channel: Channel, places: Iterable[Place], now: datetime) -> Iterator[CarriedImage]:
        """The newest image of each version: of Releases that are supported in a channel, or what the Site names."""
        several = sorted(set(places))
        for version in sorted({version for version, site in several if self.named(version, site) is None}):
            if (newest := images.newest(self._of(version), channel, now)) is not None:
                yield CarriedImage(version=str(version), image=newest.spec.image)
        for version, site in several:
            if named := self.named(version, site):
                yield CarriedImage(version=str(version), image=named, site=site)

    def of_name(self, image: str, only: KubernetesVersion | None, now: datetime) -> Iterator[CarriedImage]:
        """Where an image that somebody names belongs. only: to this version; None for all."""
        for version in self._releases:
            if only in (None, version) and images.is_for(image, self._of(version), None, now):
                yield CarriedImage(version=str(version), image=image)
        for site, names in sorted(self._named.items()):
            for text, name in sorted(names.items()):
                if name == image and only in (None, KubernetesVersion.parse(text)):
                    yield CarriedImage(version=text, image=image, site=site)

    def versions_of(self, image: str) -> list[KubernetesVersion]:
        """Versions of which some Release has an image, in whatever state, newest first."""
        return [v for v, found in self._releases.items() if any(r.spec.image == image for r in found.releases)]

    def _of(self, version: KubernetesVersion) -> Sequence[Release]:
        released = self._releases.get(version)
        return released.releases if released else ()


NO_IMAGES = KnownImages()
