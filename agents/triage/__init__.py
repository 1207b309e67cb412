"""What a ticket is about: who is writing, and its parts, each read or marked as unread."""
