"""What may be applied, what must wait for a person, and what never happens: rules as data, with their source."""
