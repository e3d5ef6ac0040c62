"""One signed-in session of openstacksdk. Everything here blocks."""

from __future__ import annotations

import tempfile
from functools import cached_property
from typing import Final

from keystoneauth1.exceptions import NotFound
from openstack import connect
from openstack.connection import Connection

from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind, Problem

_UNKNOWN: Final = (
    "{} does not know the credentials, or is not Keystone's address: "
    "renew them in the Site's Secret, or correct its auth_url"
)


class Session:
    """Signs in at first use and renews its token by itself; may be used from several threads.

    timeout: seconds until a call that gets no answer fails.
    """

    def __init__(self, credentials: Credentials, timeout: float) -> None:
        self._credentials = credentials
        self._timeout = timeout
        self._cacert = self._ca_file()

    def _ca_file(self) -> tempfile._TemporaryFileWrapper[str] | None:
        """The CA as a file, which is all that requests takes; it goes when the session does."""
        if self._credentials.cacert is None:
            return None
        file = tempfile.NamedTemporaryFile("w", prefix="kaas-ca-", suffix=".pem")  # noqa: SIM115 - lives as long as we do
        file.write(self._credentials.cacert)
        file.flush()
        return file

    @cached_property
    def cloud(self) -> Connection:
        """The SDK's connection; nothing is sent until it is used."""
        settings = {
            **self._credentials.cloud,
            "api_timeout": self._timeout,
            "load_yaml_config": False,
            "load_envvars": False,
            "app_name": "kaas",
        }
        if self._credentials.region:
            settings["region_name"] = self._credentials.region
        if self._cacert:
            settings["cacert"] = self._cacert.name
        return connect(**settings)

    def project(self) -> str:
        """Id of the project that the credentials are for. Signs in when that has not happened yet."""
        try:
            return str(self.cloud.session.get_project_id())
        except NotFound:  # what Keystone says of an application credential that was deleted
            raise CloudError(Problem(Kind.UNAUTHORIZED, _UNKNOWN.format(self._credentials.auth_url))) from None

    def close(self) -> None:
        """Close connections and remove the CA file."""
        if "cloud" in vars(self):
            self.cloud.close()
        if self._cacert:
            self._cacert.close()
