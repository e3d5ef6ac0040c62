"""Everything said to an API server: objects as plain dictionaries, one client, what differs, events."""
