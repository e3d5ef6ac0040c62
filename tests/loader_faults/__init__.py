"""An object store that misbehaves as it is told to."""
