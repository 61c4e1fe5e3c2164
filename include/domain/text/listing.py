"""Many names in a sentence: the first of them, and how many more there are."""

from collections.abc import Sequence

_NAMED_AT_MOST = 20


def first_of(names: Sequence[str]) -> str:
    """The names with commas, at most twenty of them: "a, b", "a, …, t and 3 more"."""
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more:,} more" if more > 0 else "")
