"""How an erased subscriber is still recognised: by a salted hash, looked for only in a coarse bucket."""

import hashlib
import re
import zlib
from collections.abc import Iterable

BUCKETS = 4096
# Shorter ids occur by chance in texts ("42"); they are looked for as whole texts only.
_SHORTEST_SOUGHT = 5


def bucket_of(subscriber_id: str) -> int:
    """One of 4,096 buckets: so few bits tell nobody apart, but spare hashing everybody."""
    return zlib.crc32(subscriber_id.encode()) % BUCKETS


def hash_of(subscriber_id: str, salt: str) -> str:
    """SHA-256 over salt and id, hexadecimal; the database function erasure_hash gives the same."""
    return hashlib.sha256((salt + subscriber_id).encode()).hexdigest()


def pseudonym(erasure_id: int) -> str:
    """What stands in place of the subscriber; tied to the erasure, not to the id."""
    return f"erased-{erasure_id}"


def pattern_of(ids: Iterable[str], phones: Iterable[str]) -> str:
    """A regular expression (PostgreSQL, Python) that finds any of the ids as a word, any phone anywhere."""
    named = sorted(set(ids))
    long = [re.escape(word) for word in named if len(word) >= _SHORTEST_SOUGHT]
    ways = [f"^{re.escape(word)}$" for word in named if len(word) < _SHORTEST_SOUGHT]
    if long:
        ways.append(f"(?<![0-9A-Za-z_-])(?:{'|'.join(long)})(?![0-9A-Za-z_-])")
    return "|".join([*ways, *(re.escape(phone) for phone in sorted(set(phones)))])
