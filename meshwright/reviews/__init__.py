"""What waits for a person: the queue, who may decide, and what they are shown."""
