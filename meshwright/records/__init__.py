"""What happened, kept: runs, reviews, traces."""
