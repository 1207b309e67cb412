"""What keeps one agent's bad day from becoming everybody's: playbooks in processes of their own, and a watch over the event loop."""
