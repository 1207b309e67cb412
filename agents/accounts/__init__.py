"""Who the customer is, whether it is really them, and what their profile says."""
