"""The desk's pages, one module a screen; each route names the right it needs."""

from include.desk.pages import board, calling, exports, forms, many, queue, searching, stops, taking, ticket

ROUTERS = (
    queue.router,
    taking.router,
    searching.router,
    many.router,
    ticket.router,
    forms.router,
    calling.router,
    board.router,
    exports.router,
    stops.router,
)
