"""What a step does, one file a kind of step. The only places of this feature that change a node or a server."""
