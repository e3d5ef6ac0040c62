"""GPUs: what MIG makes of them, and what a Node says of that. A library for the features; it imports none of them."""
