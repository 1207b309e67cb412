"""Questions about the rules of the shop and its products, answered with their source."""
