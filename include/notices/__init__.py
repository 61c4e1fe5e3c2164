"""Notices on their way: gathered into one digest per person, delivered at least once, and alarms for operations.

A notice is a row written in the transaction that caused it; nothing here decides whether something is told.
"""
