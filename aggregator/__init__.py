"""Where findings become one answer. What nothing supports does not get past here."""
