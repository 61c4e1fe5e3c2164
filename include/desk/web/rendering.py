"""Pages from templates, in the language and colours the person chose or the browser asks for."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from include.config import Config
from include.desk.web import formatting
from include.desk.web.refusals import tell
from include.words import LANGUAGES, named_in, words_in

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= formatting.FILTERS
THEMES = ("auto", "light", "dark")


def language_of(request: Request) -> str:
    """zh or en: chosen before (a cookie), else by the browser, else zh for people and en for programs."""
    chosen = request.cookies.get("desk_language")
    if chosen in LANGUAGES:
        return chosen
    for wanted in request.headers.get("accept-language", "").split(","):
        if (code := wanted.strip()[:2].lower()) in LANGUAGES:
            return code
    return "en" if wants_json(request) else "zh"


def theme_of(request: Request) -> str:
    """auto, light or dark: chosen before (a cookie), else auto."""
    chosen = request.cookies.get("desk_theme", "auto")
    return chosen if chosen in THEMES else "auto"


def _here(request: Request) -> str:
    """An address to come back to: with its filters; after a form, the page the form stands on."""
    path, query = request.url.path, request.url.query
    if request.method != "GET":
        return path.rpartition("/")[0]
    return f"{path}?{query}" if query else path


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """The HTML of a template: `t` has the desk's own words, `named` those of data, `once` is the key of its forms."""
    language = language_of(request)
    html = _ENVIRONMENT.get_template(template).render(
        {
            "viewer": None,
            "language": language,
            "theme": theme_of(request),
            "t": words_in(language),
            "named": named_in(language),
            "root": request.scope.get("root_path", ""),
            "here": _here(request),
            "once": secrets.token_urlsafe(12),
            "now": request.app.state.clock(),
            "team": _team(request, values.get("viewer"), language),
            **_names(request.app.state.config, language),
            "sentence_of": lambda error: tell(error, language, request.app.state.config),
        }
        | values
    )
    return Response(html, status_code=status, media_type="text/html")


def _names(config: Config, language: str) -> dict[str, Any]:
    """How teams, campaigns and what is stopped are called; by their code where the configuration knows them not."""
    words = words_in(language)

    def team_named(code: str) -> str:
        named = config.teams.teams.get(code)
        return str(getattr(named, language)) if named else code

    def campaign_named(name: str) -> str:
        named = config.campaigns.get(name)
        return str(getattr(named, language)) if named else name

    def stop_named(stop: Mapping[str, Any]) -> str:
        scope, what = stop["scope"], stop["what"]
        names = {"team": team_named, "campaign": campaign_named}
        named = names[scope](what) if scope in names else what
        return f"{words(f'stops.scopes.{scope}')} {named or ''}".strip()

    campaigns = sorted({*config.campaigns, *config.broken})
    return {
        "team_named": team_named,
        "campaign_named": campaign_named,
        "stop_named": stop_named,
        "campaigns": campaigns,
    }


def _team(request: Request, viewer: Any, language: str) -> str:
    """The name of the viewer's team; its code where the configuration no longer knows it."""
    code: str = viewer.team if viewer else ""
    named = request.app.state.config.teams.teams.get(code)
    return getattr(named, language) if named else code


def taken(request: Request, answer: Response, draft: str) -> Response:
    """The answer, telling the browser that what was typed for `draft` is stored and need not be kept there."""
    root = request.scope.get("root_path", "") or "/"
    answer.set_cookie("desk_done", draft, max_age=60, path=root, samesite="lax")
    return answer


def wants_json(request: Request) -> bool:
    """Whether the answer goes to a program."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", "")).startswith("/api/")
