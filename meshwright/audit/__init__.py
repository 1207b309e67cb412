"""What was decided and done, in a log that shows tampering."""
