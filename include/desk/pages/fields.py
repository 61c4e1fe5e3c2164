"""The form of a request, as routes ask for it."""

from typing import Annotated

from fastapi import Depends, Request

from include.desk.tickets.form_fields import Fields


async def read_fields(request: Request) -> Fields:
    """The form of a request; files are not accepted."""
    async with request.form(max_files=0, max_fields=60) as form:
        return Fields({name: [str(each) for each in form.getlist(name)] for name in form})


Typed = Annotated[Fields, Depends(read_fields)]
