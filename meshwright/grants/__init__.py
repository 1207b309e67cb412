"""What allows one write, once: made by the process that gates, verified by the tool server, used up in the transaction of the effect."""
