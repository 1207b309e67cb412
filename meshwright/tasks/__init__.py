"""The durable task core: what is accepted is stored first, worked on under a lease, and finished by whoever is alive."""
