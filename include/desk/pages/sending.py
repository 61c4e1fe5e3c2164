"""What every form of the pages goes through: sent twice it is done once, and leads to a page to be reloaded."""

import secrets

from fastapi import Request
from fastapi.responses import RedirectResponse

from include.desk.tickets.form_fields import Fields
from include.desk.viewer import Viewer
from include.desk.web.receipts import IN_THE_SAME_WORDS, KEPT, Receipt, request_sha256

#: The field in which a form carries the key it was shown with.
KEY = "once"


def receipt_of(request: Request, viewer: Viewer, typed: Fields, *, needs_key: bool = True) -> Receipt:
    """The receipt of a form: by the key it was shown with and what was typed, so that other words are another request.

    Without a key it is no repetition of anything; with `needs_key` off, of what was sent in the same words just now.
    """
    given = typed.text(KEY)
    said = {name: values for name, values in typed.typed.items() if name != KEY}
    asked = request_sha256(request.url.path, said)
    key = given or (secrets.token_urlsafe() if needs_key else "")
    return Receipt(
        viewer.staff_id,
        request_sha256(key, asked),
        asked,
        request.app.state.clock(),
        KEPT if given else IN_THE_SAME_WORDS,
    )


def lead_to(request: Request, path: str) -> RedirectResponse:
    """To a page of the desk, by GET: loaded anew it sends nothing again."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", status_code=303)
