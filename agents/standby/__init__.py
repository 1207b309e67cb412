"""The stand-in: reads, says what it sees, and leaves the rest to a person."""
