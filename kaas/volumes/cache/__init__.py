"""Snapshots of volumes that were loaded and checked: a claim with the same source is born of one."""
