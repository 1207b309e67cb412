"""The shop's mesh under attack: any of its agents can be made to lie, and the shop's journal says what came of it."""
