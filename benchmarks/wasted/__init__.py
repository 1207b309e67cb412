"""How long a chain of agents still works for a caller that has given up: ours, and a2a-sdk's servers as shipped, side by side."""
