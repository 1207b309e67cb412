"""Where people look: runs and their reasoning, the review queue, the mesh, the log."""
