"""The desk's pages, one module a screen; each route names the right it needs."""

from include.desk.pages import board, bulk, calling, exports, forms, queue, searching, stops, taking, ticket

ROUTERS = (
    queue.router,
    taking.router,
    searching.router,
    bulk.router,
    ticket.router,
    forms.router,
    calling.router,
    board.router,
    exports.router,
    stops.router,
)
