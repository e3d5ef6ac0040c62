"""Checks before an update: facts are gathered, each check is a pure predicate over them, and all findings are told."""
