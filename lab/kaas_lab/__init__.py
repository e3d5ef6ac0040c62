"""The lab: a management cluster, OpenStack clouds and their machines as processes on loopback."""
