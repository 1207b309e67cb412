"""What was decided and done, so that nobody can change it unseen."""
