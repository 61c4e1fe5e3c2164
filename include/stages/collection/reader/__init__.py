"""Delivered files as batches of text rows."""
