"""The pages for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter

from secmon.console import check, machine, queries, register, timeline
from secmon.console.context import Console, Given, HttpRequest, language_of
from secmon.console.fact_view import plain_facts, section_views
from secmon.console.queries import Choice
from secmon.console.render import HTML, page
from secmon.console.times import absolute
from secmon.coverage import MEANS, Known, attested, coverage, threats
from secmon.evaluate.model import STANDINGS
from secmon.ledger.gaps import GAPS, NEVER_REPORTED
from secmon.store.differences import read_differences
from secmon.store.ledger import IN_LEDGER
from secmon.store.standings import what_is_known

if TYPE_CHECKING:
    from secmon.evaluate.ruleset import RuleSet

PER_PAGE: Final = 50
Text = Annotated[str, QueryParameter(max_length=255)]
PageNumber = Annotated[int, QueryParameter(name="page", ge=1, le=100_000)]


def html(body: bytes, status: int = 200) -> Response[bytes]:
    return Response(body, status_code=status, media_type=HTML)


@get("/", include_in_schema=False, sync_to_thread=True)
def overview(
    request: HttpRequest,
    console: Given,
    zone: Text = "",
    department: Text = "",
    text: Text = "",
    number: PageNumber = 1,
) -> Response[bytes]:
    """Machines, worst first."""
    choice = Choice(zone=zone, department=department, text=text.strip())
    rules, language = console.rules.current, language_of(request, console.config)
    with console.database.read() as connection:
        fleet = queries.fleet(connection, choice, console.config, rules, console.clock())
        last = max(1, -(-len(fleet.hosts) // PER_PAGE))
        number = min(number, last)
        shown = fleet.hosts[(number - 1) * PER_PAGE : number * PER_PAGE]
        worst = queries.worst_findings(connection, [row.host_id for row in shown])
    if not fleet.registered:
        return html(page(console, language, "empty.html", unseen_assets=fleet.unseen_assets))
    return html(
        page(
            console, language, "overview.html", fleet=fleet, shown=shown, worst=worst, choice=choice, number=number,
            last=last, per_page=PER_PAGE, checks=rules.checks, statuses=STANDINGS, unset=queries.UNSET_VALUE,
            zones=zones_to_choose(console, fleet),
        )
    )  # fmt: skip


def zones_to_choose(console: Console, fleet: queries.Fleet) -> list[str]:
    """Those of the configuration in its order, then what else a machine bears."""
    configured = [zone.id for zone in console.config.zones]
    return configured + [zone for zone in fleet.zones if zone not in configured]


@get("/hosts/{key:str}", include_in_schema=False, sync_to_thread=True)
def host(request: HttpRequest, console: Given, key: FromPath[str]) -> Response[bytes]:
    """One machine: facts and results with evidence and history."""
    rules, language, now = console.rules.current, language_of(request, console.config), console.clock()
    with console.database.read() as connection:
        host_id = machine.find(connection, key)
        if host_id is None:
            raise NotFoundException(detail="no such host")
        found = machine.read(connection, host_id, console.config, rules, now)
    views = section_views(found.sections, language, lambda instant: absolute(instant, console.config.tz))
    answers = {standing: [one for one in found.answers if one.standing == standing] for standing in STANDINGS}
    answers["unknown"].sort(key=lambda one: not one.findings)
    return html(
        page(
            console, language, "machine.html", machine=found, answers=answers, sections=views, checks=rules.checks,
            spans=lambda history: timeline.spans(history, now), strip_width=timeline.WIDTH, os_name=_os_name(found),
        )
    )  # fmt: skip


def _os_name(found: machine.Machine) -> str:
    """As the machine names its system; empty while that is not known."""
    stored = next((section for section in found.sections if section.name == "os"), None)
    facts = (stored and plain_facts(stored)) or {}
    name = str(facts.get("name", ""))
    version = str(facts.get("point_release") or facts.get("version") or "")
    return name if version in name else f"{name} · {version}"


@get("/checks/{check_id:str}", include_in_schema=False, sync_to_thread=True)
def one_check(request: HttpRequest, console: Given, check_id: FromPath[str]) -> Response[bytes]:
    """One check: why, how to fix it, and the machines that fail it."""
    rules: RuleSet = console.rules.current
    rule = rules.checks.get(check_id)
    if rule is None:
        raise NotFoundException(detail="no such check")
    guides = console.guides()
    with console.database.read() as connection:
        answers = check.read(connection, check_id)
    return html(
        page(
            console,
            language_of(request, console.config),
            "check.html",
            check=rule,
            adapted=check.adaptation(rules, check_id, console.config),
            answers=answers,
            statuses=STANDINGS,
            frameworks=[(each, each.controls_of(check_id)) for each in guides.frameworks],
            threats=[(each, each.threats_of(check_id)) for each in guides.threats],
        )
    )


@get("/exceptions", include_in_schema=False, sync_to_thread=True)
def exceptions(request: HttpRequest, console: Given) -> Response[bytes]:
    """What is borne with: exceptions and disputes, with reason, approver and last day."""
    now = console.clock()
    with console.database.read() as connection:
        entries = register.read(connection, console.config, now)
    return html(
        page(
            console, language_of(request, console.config), "exceptions.html",
            checks={**console.rules.current.checks, **GAPS}, gaps=GAPS,
            exceptions=[each for each in entries if each.is_to_come(now) and each.record.kind == "exception"],
            disputes=[each for each in entries if each.is_to_come(now) and each.record.kind == "dispute"],
            over=[each for each in entries if not each.is_to_come(now)],
        )
    )  # fmt: skip


@get("/ledger", include_in_schema=False, sync_to_thread=True)
def ledger(request: HttpRequest, console: Given) -> Response[bytes]:
    """台帳との差: machines of the ledger that never reported, and machines that are not in it."""
    with console.database.read() as connection:
        found = read_differences(connection, console.config, console.clock())
    return html(
        page(
            console, language_of(request, console.config), "ledger.html", found=found, gap=NEVER_REPORTED,
            in_ledger=IN_LEDGER, grace_days=console.config.ledger.grace_days,
        )
    )  # fmt: skip


@get("/frameworks", include_in_schema=False, sync_to_thread=True)
def frameworks(request: HttpRequest, console: Given) -> Response[bytes]:
    """What covers each guideline, what people attested, and what bears on the threats of the year."""
    language, guides = language_of(request, console.config), console.guides()
    known = _known(console)
    return html(
        page(
            console, language, "frameworks.html", means=MEANS, statuses=STANDINGS,
            frameworks=[coverage(each, known, language) for each in guides.frameworks],
            asked=[attested(each, known, language) for each in guides.questions.values()],
            threats=[(each, threats(each, known, language)) for each in guides.threats],
        )
    )  # fmt: skip


@get("/frameworks/{framework_id:str}", include_in_schema=False, sync_to_thread=True)
def one_framework(request: HttpRequest, console: Given, framework_id: FromPath[str]) -> Response[bytes]:
    """Control by control."""
    language = language_of(request, console.config)
    found = next((each for each in console.guides().frameworks if each.id == framework_id), None)
    if found is None:
        raise NotFoundException(detail="no such framework")
    told = coverage(found, _known(console), language)
    return html(page(console, language, "framework.html", framework=told, means=MEANS, statuses=STANDINGS))


def _known(console: Console) -> Known:
    with console.database.read() as connection:
        return what_is_known(
            connection, console.rules.current, console.guides().questions, console.clock(), console.config.tz
        )


PAGES = [overview, host, one_check, exceptions, ledger, frameworks, one_framework]
