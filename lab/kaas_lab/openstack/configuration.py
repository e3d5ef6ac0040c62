"""The configuration files of a site's services, as data: file name to sections to options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from kaas_lab.openstack.site import ADDRESS, PASSWORD, SERVICES, USER, ZONES, Site, service_named

Options: TypeAlias = Mapping[str, object]
Sections: TypeAlias = Mapping[str, Options]

GPU_VENDOR, GPU_PRODUCT = "10de", "20b2"  # A100 SXM4 80GB, https://pci-ids.ucw.cz
GPU_ALIAS = "a100"
VOLUME_DRIVER = "kaas_cloud.cinder_driver.RowsOnlyDriver"
# Projects see whether the host of a server is up, as in many private clouds; Nova's default shows it to administrators.
NOVA_POLICY = {"os_compute_api:servers:show:host_status": "rule:project_reader_or_admin"}
NO_NOTIFICATIONS = {"driver": "noop"}


def ini(sections: Sections) -> str:
    """The text of a file for oslo.config; a list is an option given several times."""
    lines: list[str] = []
    for name, options in sections.items():
        lines.append(f"[{name}]")
        for key, value in options.items():
            lines.extend(f"{key} = {item}" for item in (value if isinstance(value, list) else [value]))
        lines.append("")
    return "\n".join(lines)


class Configuration:
    """Renders the files of one site. `environment` is the virtual environment that holds OpenStack."""

    def __init__(self, site: Site, environment: Path) -> None:
        self.site = site
        self.environment = environment
        self.keystone_url = site.url(service_named("keystone"))

    def files(self) -> dict[str, Sections]:
        """Every file below `etc/`."""
        return {
            "keystone/keystone.conf": self._keystone(),
            "placement/placement.conf": self._placement(),
            "glance/glance-api.conf": self._glance(),
            "neutron/neutron.conf": self._neutron(),
            "nova/nova.conf": self._nova(),
            "octavia/octavia.conf": self._octavia(),
            "cinder/cinder.conf": self._cinder(),
        }

    def _credential(self) -> dict[str, object]:
        return {
            "auth_type": "password",
            "auth_url": self.keystone_url,
            "username": "service",
            "password": PASSWORD,
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }

    def _client(self) -> dict[str, object]:
        return self._credential() | {"region_name": self.site.region}

    def _token(self) -> dict[str, object]:
        return self._credential() | {
            "www_authenticate_uri": self.keystone_url,
            "service_token_roles": "service",
            "service_token_roles_required": "true",
        }

    def _service_user(self) -> dict[str, object]:
        return self._client() | {"send_service_user_token": "true"}

    def _database(self, name: str) -> dict[str, object]:
        # sqlite_synchronous: what a crash of the machine would lose is not worth a sync to disk per commit
        return {"connection": f"sqlite:///{self.site.database(name)}", "sqlite_synchronous": "false"}

    def _lock(self) -> dict[str, object]:
        return {"lock_path": self.site.state / "lock"}

    def _logging(self) -> dict[str, object]:
        return {"use_stderr": "true"}

    def _stateful(self, name: str) -> dict[str, object]:
        return self._logging() | {"state_path": self.site.state / name}

    def _keystone(self) -> Sections:
        home = self.site.state / "keystone"
        return {
            "DEFAULT": self._logging()
            | {"public_endpoint": self.site.url(service_named("keystone"), suffix=False), "max_token_size": 512},
            "database": self._database("keystone"),
            "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
            "token": {"provider": "fernet", "expiration": 86400},
            "identity": {"password_hash_rounds": 4},  # the least that bcrypt allows: a token in 20 ms
            "fernet_tokens": {"key_repository": home / "fernet"},
            "fernet_receipts": {"key_repository": home / "receipts"},
            "credential": {"key_repository": home / "credential"},
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
        }

    def _placement(self) -> Sections:
        return {
            "DEFAULT": self._stateful("placement"),
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": self._token(),
            "placement_database": self._database("placement") | {"sync_on_startup": "true"},
        }

    def _glance(self) -> Sections:
        home = self.site.state / "glance"
        return {
            "DEFAULT": self._logging()
            | {
                "bind_host": ADDRESS,
                "enabled_backends": "store:file",
                "enabled_import_methods": "[]",
                "node_staging_uri": f"file://{home / 'staging'}",
                "transport_url": "fake://",
            },
            "database": self._database("glance"),
            "glance_store": {"default_backend": "store"},
            "store": {"filesystem_store_datadir": home / "images"},
            "os_glance_staging_store": {"filesystem_store_datadir": home / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": home / "tasks"},
            "paste_deploy": {
                "flavor": "keystone",
                "config_file": self.environment / "etc/glance/glance-api-paste.ini",
            },
            "keystone_authtoken": self._token(),
            "oslo_concurrency": self._lock(),
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
        }

    def _neutron(self) -> Sections:
        return {
            "DEFAULT": self._stateful("neutron")
            | {
                "core_plugin": "ml2",
                "service_plugins": "kaas_cloud.neutron_drivers.InstantL3Plugin,trunk",
                "api_paste_config": self.environment / "etc/neutron/api-paste.ini",
                "auth_strategy": "keystone",
                "transport_url": "fake://",
                "dhcp_agent_notification": "false",
                "rpc_workers": 0,
                "enable_dvr": "false",
                "notify_nova_on_port_status_changes": "true",
                "notify_nova_on_port_data_changes": "true",
                "send_events_interval": 1,
            },
            "database": self._database("neutron"),
            "nova": self._client(),
            "placement": self._client(),
            "keystone_authtoken": self._token(),
            "oslo_concurrency": self._lock(),
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
            "quotas": {
                f"quota_{name}": limit
                for name, limit in {
                    "network": 1000,
                    "subnet": 1000,
                    "port": 10000,
                    "router": 1000,
                    "floatingip": 1000,
                    "security_group": 1000,
                    "security_group_rule": 20000,
                }.items()
            },
            "ml2": {
                "type_drivers": "flat,vlan,vxlan,local",
                "tenant_network_types": "vxlan",
                "mechanism_drivers": "kaas_lab",
                "extension_drivers": "port_security",
            },
            "ml2_type_flat": {"flat_networks": "*"},
            "ml2_type_vxlan": {"vni_ranges": "1:5000"},
        }

    def _nova(self) -> Sections:
        return {
            "DEFAULT": self._stateful("nova")
            | {
                "host": "control",
                "my_ip": ADDRESS,
                "transport_url": "fake://",
                "compute_driver": "kaas_lab.LabDriver",
                "enabled_apis": "osapi_compute",
                "force_raw_images": "false",
                "rpc_response_timeout": 120,
                "executor_thread_pool_size": 8,
                "report_interval": 10,
                "service_down_time": 120,
                "update_resources_interval": 60,
            },
            "api": {"auth_strategy": "keystone", "response_validation": "ignore"},
            "api_database": self._database("nova_api"),
            "database": self._database("nova"),
            "keystone_authtoken": self._token(),
            "service_user": self._service_user(),
            "placement": self._client(),
            "neutron": self._client(),
            "glance": self._client(),
            "cinder": self._client() | {"os_region_name": self.site.region, "catalog_info": "block-storage::publicURL"},
            "vnc": {"enabled": "false"},
            "oslo_concurrency": self._lock(),
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
            "oslo_policy": {"policy_file": self.site.state / "etc/nova/policy.yaml"},
            **self._nova_scheduling(),
        }

    def _nova_scheduling(self) -> Sections:
        filters = (
            "ComputeFilter",
            "ComputeCapabilitiesFilter",
            "ImagePropertiesFilter",
            "ServerGroupAntiAffinityFilter",
            "ServerGroupAffinityFilter",
            "PciPassthroughFilter",
        )
        gpu = {"vendor_id": GPU_VENDOR, "product_id": GPU_PRODUCT}
        alias = gpu | {"name": GPU_ALIAS, "device_type": "type-PCI", "numa_policy": "preferred"}
        return {
            # Availability zones need no filter: Nova asks Placement for the hosts of the zone's aggregate.
            "filter_scheduler": {"enabled_filters": ",".join(filters)},
            "pci": {"alias": json.dumps(alias), "device_spec": json.dumps(gpu)},
            "quota": {
                "instances": 2000,
                "cores": 40000,
                "ram": 100000000,
                "server_groups": 1000,
                "server_group_members": 1000,
            },
        }

    def _octavia(self) -> Sections:
        return {
            "DEFAULT": self._logging() | {"transport_url": "fake://"},
            "api_settings": {
                "auth_strategy": "keystone",
                "bind_host": ADDRESS,
                "enabled_provider_drivers": "amphora:settles at once,octavia:the same,ovn:the same",
                "default_provider_driver": "amphora",
                "api_base_uri": self.site.url(service_named("octavia")),
            },
            "database": self._database("octavia"),
            "keystone_authtoken": self._token(),
            "service_auth": self._client(),
            "neutron": {"region_name": self.site.region},
            "controller_worker": {
                "network_driver": "allowed_address_pairs_driver",
                "compute_driver": "compute_noop_driver",
                "amphora_driver": "amphora_noop_driver",
            },
            "oslo_messaging": {"topic": "octavia_prov"},
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
        }

    def _cinder(self) -> Sections:
        etc = self.environment / "etc/cinder"
        return {
            "DEFAULT": self._stateful("cinder")
            | {
                "host": "control",
                "my_ip": ADDRESS,
                "transport_url": "fake://",
                "auth_strategy": "keystone",
                "enabled_backends": ",".join(ZONES),
                "storage_availability_zone": ZONES[0],
                "default_volume_type": "__DEFAULT__",
                "periodic_interval": 1,
                "allow_availability_zone_fallback": "true",
                "api_paste_config": etc / "api-paste.ini",
                "resource_query_filters_file": etc / "resource_filters.json",
                "glance_api_servers": self.site.url(service_named("glance")),
                "quota_volumes": 1000,
                "quota_gigabytes": 1000000,
            },
            **{zone: {"volume_driver": VOLUME_DRIVER, "backend_availability_zone": zone} for zone in ZONES},
            "database": self._database("cinder"),
            "coordination": {"backend_url": f"file://{self.site.state / 'cinder/coordination'}"},
            "keystone_authtoken": self._token(),
            "nova": self._client(),
            "service_user": self._service_user(),
            "oslo_concurrency": self._lock(),
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
        }


def clouds(site: Site) -> dict[str, object]:
    """Contents of `clouds.yaml`: the clouds `admin`, who may do everything, and `kaas`, who is a tenant."""

    def cloud(name: str) -> dict[str, object]:
        return {
            "auth": {
                "auth_url": site.url(service_named("keystone")),
                "username": name,
                "password": PASSWORD,
                "project_name": name,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": site.region,
            "identity_api_version": "3",
            "interface": "public",
        }

    return {"clouds": {name: cloud(name) for name in ("admin", USER)}}


def directories(site: Site) -> list[Path]:
    """Directories that have to exist before a service starts."""
    names = ["db", "run", "lock", "consoles", "restarts", "glance/staging", "glance/tasks", "glance/images"]
    return [site.state / name for name in (*names, *(service.name for service in SERVICES))]


def write(site: Site, environment: Path) -> None:
    """Write every file that the services read, for the present ports and directories of the site."""
    for directory in directories(site):
        directory.mkdir(parents=True, exist_ok=True)
    for name, sections in Configuration(site, environment).files().items():
        file = site.state / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ini(sections))
    paste = (environment / "etc/nova/api-paste.ini").read_text()
    (site.state / "etc/nova/api-paste.ini").write_text(paste)
    (site.state / "etc/nova/policy.yaml").write_text(json.dumps(NOVA_POLICY))
    # nova-compute looks for this file when it starts again; the identity of a host is the driver's word, not this.
    (site.state / "nova/compute_id").write_text("00000000-0000-4000-8000-0000000000ff")
    # JSON is YAML
    site.clouds_file.write_text(json.dumps(clouds(site), indent=1) + "\n")
