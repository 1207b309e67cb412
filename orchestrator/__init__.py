"""Where a request enters: it plans, delegates, decides whom to believe, and never does domain work itself."""
