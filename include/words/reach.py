"""The cut of a dispatch in a sentence: who stays out of reach this cycle, and what one more agent would be worth."""

from collections.abc import Mapping

from include.domain.dispatch.unreached import OneMore
from include.words import Named, words_in


def cut_in_words(counts: Mapping[str, int], best: OneMore | None, effect: float) -> Named:
    """The cut in both languages; `counts` holds treated, held_out and not_reached, `effect` the share kept."""
    return {"zh": _told(counts, best, effect, "zh"), "en": _told(counts, best, effect, "en")}


def _told(counts: Mapping[str, int], best: OneMore | None, effect: float, language: str) -> str:
    treated, held_out = counts.get("treated", 0), counts.get("held_out", 0)
    missed = counts.get("not_reached", 0)
    return words_in(language)(
        "reach.counts",
        admitted=treated + held_out + missed,
        reached=treated + held_out,
        treated=treated,
        held_out=held_out,
        missed=missed,
        one_more=_one_more(best, effect, language) if best else "",
    )


def _one_more(best: OneMore, effect: float, language: str) -> str:
    t = words_in(language)
    worth = t("reach.no_worth") if best.yuan is None else t("reach.worth", yuan=best.yuan, effect=effect)
    return t("reach.one_more", team=best.team, tickets=best.tickets, worth=worth)
