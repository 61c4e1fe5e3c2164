"""Errors a person can cure: each sentence says what happened, with which value, and what to do."""


class LoopError(Exception):
    """Base of everything the loop refuses or cannot do, told in one sentence without a traceback."""


class BadInput(LoopError):
    """A value given by a person or a file cannot be used."""


class NotReady(LoopError):
    """Something that must come first has not come yet: a delivery, a stage, a database revision."""


class Refused(LoopError):
    """A rule of the business forbids the action (an illegal transition, a stale version, no right)."""


class ConfigError(LoopError):
    """A configuration file is wrong; the sentence names file, entry and cause."""
