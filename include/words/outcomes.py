"""The endings and needs the engine knows, with their words."""

from collections.abc import Mapping

from include.domain.contact.outcome import ENDINGS, NEED_NAMES, Outcome
from include.domain.text.words import Words
from include.words import both

#: The endings the engine knows; a campaign words them and adds details in its own catalogue.
OUTCOMES: Mapping[str, Outcome] = {
    name: Outcome(*(words.zh, words.en), ending.needs, ending.is_reached, is_willing=ending.is_willing)
    for name, ending in ENDINGS.items()
    for words in (both(f"outcomes.{name}"),)
}

#: What a needs survey can find; the same words as the latent reasons strategies answer to.
NEEDS: Mapping[str, Words] = {name: both(f"needs.{name}") for name in NEED_NAMES}
