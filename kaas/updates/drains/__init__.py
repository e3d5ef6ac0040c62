"""Drains with notice: a machine that is to go waits for its turn, and for the jobs on it."""
