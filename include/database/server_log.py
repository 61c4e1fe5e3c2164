"""What a PostgreSQL server writes into its log: never the statements, rows and values it worked with.

Those are people's numbers and what was said to them. Errors are told to who ran the statement.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # ending a server must work without any package
    from sqlalchemy import Connection

#: Setting → the value with which neither statements nor rows are logged.
QUIET = {
    # the message of an error quotes the value that was wrong; start, stop, crash and refused logins are still told
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_statement": "none",
}
#: Values that tell less still.
_QUIETER = {("log_min_messages", "fatal"), ("log_min_messages", "panic")}


def told_of_loud(db: "Connection") -> str | None:
    """A sentence with the statements to run when the server's log may hold what people said; None when it does not."""
    from include.database.queries import load

    asked = {"names": list(QUIET)}
    loud = {
        row.name: row.setting
        for row in db.execute(load("database/server_log")["read_settings"], asked)
        if row.setting != QUIET[row.name] and (row.name, row.setting) not in _QUIETER
    }
    if not loud:
        return None
    found = ", ".join(f"{name} is {value}" for name, value in loud.items())
    run = " ".join(f"alter system set {name} = '{QUIET[name]}';" for name in loud)
    return (
        f"The log of the PostgreSQL server may hold numbers and notes of customers: {found}. "
        f"Run as its administrator: {run} select pg_reload_conf();"
    )
