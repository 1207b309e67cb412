"""Delivered orders: returns and exchanges."""
