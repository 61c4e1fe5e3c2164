"""Tables of the board: their columns, how a figure is told, and what a section declares about itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.config.readers.campaign.work import Worded
from include.domain.text.words import Words

if TYPE_CHECKING:
    from include.desk.board.charts import Look
    from include.desk.board.scope import BoardScope
    from include.desk.board.wording import BoardWords

#: How a column is told: as it is, as a count, share, money, instant, day, link to a ticket, or a word of the catalogue.
TEXT, COUNT, SHARE, YUAN, INSTANT, DAY, TICKET = "text", "count", "share", "yuan", "instant", "day", "ticket"
FIGURES = frozenset({COUNT, SHARE, YUAN})
WORD = "word:"
#: What a row is about is named in its column `kind`, and told accordingly.
BY_KIND = "by kind"
#: Told by the words somebody configured.
STRATEGY, CAMPAIGN, OUTCOME, CLOCK = CONFIGURED = ("strategy", "campaign", "outcome", "clock")
TEAM = f"{WORD}board.teams"
_KINDS: Mapping[str, str] = {
    "campaign": CAMPAIGN,
    "strategy": STRATEGY,
    "team": TEAM,
    "grade": f"{WORD}grades",
    "cluster": f"{WORD}board.clusters",
}

#: The boards there are: of one campaign, of all of them, and of one that is a shadow.
OF_ONE, OF_ALL, OF_SHADOW = "one", "all", "shadow"


@dataclass(frozen=True)
class Table:
    """A section with its rows, how many more there are than a file may hold, and the headings a campaign words."""

    section: "Section"
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0
    headings: Mapping[str, Worded | Words] = field(default_factory=dict)


Rows = Sequence[Mapping[str, Any]]
#: What makes a section's table of the rows of its statement.
Shape = Callable[["Section", Rows, "BoardScope"], Table]
#: What draws a table, as SVG, in the words of a reader.
Picture = Callable[[Table, "BoardWords", "Look"], bytes]

#: A list longer than this is worked from the queue, not from the board.
LONGEST_LIST = 100


def as_read(section: "Section", rows: Rows, scope: "BoardScope") -> Table:
    """The rows as they come."""
    return Table(section, rows)


@dataclass(frozen=True)
class Section:
    """One table of the board; `columns` maps each column of the statement to how it is told.

    `shape` makes the table where its columns or rows are not those of the statement; `picture` draws it. At most
    `limit` rows are read, with those of the cycle before where `reads_before`. `is_by_campaign`: on the board of all
    campaigns every row names its own. `boards` are those it stands on, and `stands` says whether on this one.
    """

    name: str
    statement: str
    columns: Mapping[str, str]
    shape: Shape = as_read
    picture: Picture | None = None
    limit: int = LONGEST_LIST
    reads_before: bool = False
    is_over_all_teams: bool = False
    is_by_campaign: bool = False
    boards: tuple[str, ...] = (OF_ONE, OF_ALL)
    stands: Callable[["BoardScope"], bool] = lambda scope: True

    @property
    def is_drawn(self) -> bool:
        """Whether there is a picture of it."""
        return self.picture is not None

    def kind_of(self, column: str, row: Mapping[str, Any]) -> str:
        """How a cell is told."""
        kind = self.columns[column]
        return _KINDS.get(row["kind"], TEXT) if kind == BY_KIND else kind


STEPS = (
    "subscribers", "scored", "warned", "held_out", "dispatched", "released", "contacted", "planned", "processed",
    "closed", "won",
)  # fmt: skip
#: Steps before the tickets: nobody has a team yet.
STEPS_OVER_ALL_TEAMS = STEPS[:3]
VERDICTS = ("on_time", "breached", "open")
RATES = ("reached", "willing", "completed")
ALL_BOARDS = (OF_ONE, OF_ALL, OF_SHADOW)
