"""Everything that is said to a cloud. openstacksdk blocks, so it runs in bounded threads with a time limit a call."""
