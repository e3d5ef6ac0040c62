"""The played CSI driver: volumes and snapshots as directories of this machine."""
