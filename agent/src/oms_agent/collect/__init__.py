"""What the agent collects: each module turns one kind of source into records of one table."""
