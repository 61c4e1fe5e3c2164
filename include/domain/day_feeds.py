"""The feeds an operator delivers by the day, and through it: they say who may not be called any more."""

FEEDS = ("subscriber_changes", "contact_limits")
