"""Programs that repeat a request: under an Idempotency-Key of their own, or in the same words within minutes."""

from typing import Annotated, Any

from fastapi import Header, Request

from include.desk.viewer import Viewer
from include.desk.web.receipts import IN_THE_SAME_WORDS, Receipt, request_sha256

Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,200}$")]


def receipt_of(request: Request, viewer: Viewer, key: str | None, *asked: Any) -> Receipt | None:
    """The receipt of what was asked for under a key; without one there is none."""
    if key is None:
        return None
    return Receipt(viewer.staff_id, key, request_sha256(*asked), request.app.state.clock())


def receipt_of_words(request: Request, viewer: Viewer, key: str | None, *asked: Any) -> Receipt:
    """The same, where without a key the same words sent again within minutes are the same once more."""
    digest = request_sha256(*asked)
    return receipt_of(request, viewer, key, *asked) or Receipt(
        viewer.staff_id, digest, digest, request.app.state.clock(), IN_THE_SAME_WORDS
    )
