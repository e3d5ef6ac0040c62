"""Claims that are filled before they are bound: the second mode, in which Pods wait without a gate."""
