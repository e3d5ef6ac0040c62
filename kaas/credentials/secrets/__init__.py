"""What a Secret with cloud credentials must look like: rules as data, and nothing of a value in what they say."""
