"""Orders that are not delivered yet: where they are, cancelling and changing them."""
