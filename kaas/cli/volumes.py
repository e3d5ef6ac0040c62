"""`kaas volumes`: names, options and help of its commands. What a command does is imported when it is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from kaas.cli import options, volume_webhook
from kaas.cli.command import command
from kaas.cli.options import LogFormat
from kaas.cli.settings import Settings
from kaas.volumes.settings import GPU_LABEL, LoadSettings, Resources

LIMITS = "Limits"
LOADERS = "Loaders"
CACHE = "Snapshot cache"

AtOnce = Annotated[int, typer.Option(min=1, help="Loads that run at once.", rich_help_panel=LIMITS)]
PerNamespace = Annotated[int, typer.Option(min=1, help="Of them, in one namespace.", rich_help_panel=LIMITS)]
Timeout = Annotated[
    int, typer.Option(min=60, metavar="SECONDS", help="For all attempts of a load together.", rich_help_panel=LIMITS)
]
TriesAgain = Annotated[
    int, typer.Option(min=0, help="How often a load that failed is tried again.", rich_help_panel=LIMITS)
]
Image = Annotated[str, typer.Option(help="Image of the loader, with kaas as entry point.", rich_help_panel=LOADERS)]
PriorityClass = Annotated[
    str, typer.Option(help="Of loaders' Pods.", show_default="the cluster's", rich_help_panel=LOADERS)
]
GpuLabel = Annotated[
    str,
    typer.Option(
        metavar="KEY[=VALUE]",
        help='Of nodes with GPUs, which loaders leave to others; "" where they have none.',
        rich_help_panel=LOADERS,
    ),
]
Quantity = Annotated[str, typer.Option(metavar="QUANTITY", rich_help_panel=LOADERS)]
AllowEndpoint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR|HOST",
        help="Endpoint that loaders may speak to though it is inside or without TLS. May be repeated.",
        show_default=False,
        rich_help_panel=LOADERS,
    ),
]
KeepOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Network that loaders' packets never get to: Pods, Services. May be repeated.",
        show_default=False,
        rich_help_panel=LOADERS,
    ),
]
NetworkPolicy = Annotated[
    bool,
    typer.Option(
        "--network-policy/--no-network-policy",
        help="Whether namespaces with loads get one for loaders.",
        rich_help_panel=LOADERS,
    ),
]

CacheSize = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[CLASS=]QUANTITY",
        help="Of all snapshots of a StorageClass, or of each one that is not named. May be repeated.",
        show_default="no limit",
        rich_help_panel=CACHE,
    ),
]
CacheSnapshots = Annotated[int, typer.Option(min=1, help="Snapshots in one namespace.", rich_help_panel=CACHE)]
CacheUnusedDays = Annotated[
    int, typer.Option(min=1, help="Days after which one goes that no claim was born of.", rich_help_panel=CACHE)
]
CacheCutSeconds = Annotated[
    int, typer.Option(min=1, help="How long Pods wait until one is cut.", rich_help_panel=CACHE)
]
CacheShare = Annotated[
    bool,
    typer.Option(
        "--cache-share/--no-cache-share",
        help="Whether other namespaces are given snapshots of public sources; they compare all of it with the source.",
        rich_help_panel=CACHE,
    ),
]

app = typer.Typer(
    name="volumes",
    help="PersistentVolumeClaims that are filled from a bucket.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(volume_webhook.webhook)
app.command()(volume_webhook.manifests)


@app.command()
@command
def controller(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    image: Image,
    namespace: options.WatchNamespaces = None,
    metrics_host: options.MetricsHost = "127.0.0.1",
    metrics_port: options.MetricsPort = 8080,
    leader_elect: options.LeaderElect = True,
    log_format: options.Format = LogFormat.HUMAN,
    at_once: AtOnce = 20,
    per_namespace: PerNamespace = 5,
    timeout: Timeout = 86400,
    tries_again: TriesAgain = 6,
    priority_class: PriorityClass = "",
    gpu_label: GpuLabel = GPU_LABEL,
    cpu: Quantity = "500m",
    cpu_limit: Quantity = "2",
    memory: Quantity = "256Mi",
    memory_limit: Quantity = "512Mi",
    allow_endpoint: AllowEndpoint = None,
    keep_out: KeepOut = None,
    network_policy: NetworkPolicy = True,
    cache_size: CacheSize = None,
    cache_snapshots: CacheSnapshots = 20,
    cache_unused_days: CacheUnusedDays = 30,
    cache_cut_seconds: CacheCutSeconds = 120,
    cache_share: CacheShare = True,
) -> None:
    """Load annotated claims, and free Pods that wait for them, until SIGTERM or Ctrl-C."""
    from kaas.cli import volumes_controller  # noqa: PLC0415 - other commands need none of it

    given = LoadSettings(
        image=image,
        at_once=at_once,
        per_namespace=per_namespace,
        tries_again=tries_again,
        timeout=timeout,
        priority_class=priority_class,
        gpu_label=gpu_label,
        allow_endpoints=tuple(allow_endpoint or ()),
        keep_out=tuple(keep_out or ()),
        network_policy=network_policy,
        resources=Resources(cpu=cpu, cpu_limit=cpu_limit, memory=memory, memory_limit=memory_limit),
    )
    process = volumes_controller.Process(
        tuple(namespace or ()), metrics_host, metrics_port, leader_elect, log_format.value
    )
    limits = volumes_controller.limits_of(cache_size or (), cache_snapshots, cache_unused_days, cache_cut_seconds)
    limits = replace(limits, share=cache_share)
    volumes_controller.controller(settings, process, volumes_controller.checked(given), limits)
