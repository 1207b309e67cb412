"""A call leaves: find the peer, ask its breaker, send the deadline along, and say afterwards how it went."""
