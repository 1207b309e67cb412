"""A call arrives: who is it, may it come in, what does it want, and how long has it got."""
