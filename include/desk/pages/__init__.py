"""The desk's pages, one module a screen; each route names the right it needs."""

from include.desk.pages import forms, queue, ticket

ROUTERS = (queue.router, ticket.router, forms.router)
