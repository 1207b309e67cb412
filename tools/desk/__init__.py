"""The tool server for tickets: reply, escalate, close."""
