"""The `kaas` command, and the same as a plugin of kubectl."""
