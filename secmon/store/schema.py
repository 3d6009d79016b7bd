"""The tables. `host_id` stands first in the key of every table that grows with machines.

Two kinds of time stand side by side: *observed* (when it was so on the machine: `Report.collected_at` corrected and
clamped) and *recorded* (when this collector wrote it). An interval without an end is the present one.

All tables are taken from here; those of the collector's own running stand in `schema_service`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    Uuid,
)

from secmon.store import schema_service as service
from secmon.store.types import Instant

metadata, AutoId = service.metadata, service.AutoId


def _host_id() -> Column[object]:
    return Column("host_id", Uuid, ForeignKey("hosts.host_id"), primary_key=True)


collectors = Table(
    "collectors",
    metadata,
    Column("collector_id", Uuid, primary_key=True),
    Column("generation", BigInteger, nullable=False),  # rises with every restored backup
    Column("created_at", Instant, nullable=False),
)

# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

hosts = Table(
    "hosts",
    metadata,
    Column("host_id", Uuid, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),  # display name, unique; label `host` of the metrics
    Column("hostname", String(255), nullable=False),
    Column("machine_id", LargeBinary(32)),
    Column("serial", String(128)),
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
    Column("revision", BigInteger, nullable=False, default=0),  # counts what was applied; orders this host's rows
    Column("state", LargeBinary(32)),  # state_digest of the sections that are stored; null before the first
    Column("resyncing", Boolean, nullable=False, default=False),  # the machine changed and data was asked for
    Column("judged_state", LargeBinary(32)),  # with judged_ruleset: what the open results rest on
    Column("judged_ruleset", String(64)),
    Column("swept_on", String(10)),  # office-local date up to which time-dependent answers were swept
)

contacts = Table(  # narrow, since every heartbeat writes it
    "contacts",
    metadata,
    _host_id(),
    Column("stream", LargeBinary(16), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("observed_at", Instant, nullable=False),  # newest moment at which the state is known to be true
    Column("received_at", Instant, nullable=False),
    Column("collected_at", Instant, nullable=False),  # as the agent's clock said
    Column("offset_s", Float),
    Column("clamped", Boolean, nullable=False, default=False),  # observed_at had to be clamped
    Column("interval_s", Integer, nullable=False),
    Column("boot_id", LargeBinary(16), nullable=False),
    Column("agent_version", String(64)),
    Column("rejected", Integer),
    Column("vitals", Text),  # JSON object of numbers, as last sent
)

sightings = Table(  # when machines were seen, kept daily: `contacts` is overwritten, a past month must still be told
    "sightings",
    metadata,
    _host_id(),
    Column("observed_at", Instant, primary_key=True),
    Column("recorded_at", Instant, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("agent_id", Uuid, primary_key=True),
    Column("enrolled_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_reason", Text),
    Column("sections", Text),  # JSON list of section names it may send; null: all of a machine
    Column("rotate_requested_at", Instant),  # keys that are older are to be changed
    Column("ca_mark", LargeBinary(8)),  # of the successor CA that it said to have
)

agent_keys = Table(
    "agent_keys",
    metadata,
    Column("key_id", LargeBinary(16), primary_key=True),
    Column("agent_id", Uuid, ForeignKey("agents.agent_id"), nullable=False, index=True),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("revoked_at", Instant),  # it was ended by the one that succeeds it
    Column("succeeds", LargeBinary(16)),  # key_id of the key that signed this one
    Column("heard_at", Instant),  # of a key that succeeds another: its first report, which ended the other
)

host_agents = Table(  # which agent speaks for which host, since when
    "host_agents",
    metadata,
    _host_id(),
    Column("agent_id", Uuid, ForeignKey("agents.agent_id"), primary_key=True),
    Column("valid_from", Instant, primary_key=True),
    Column("valid_to", Instant),
    Column("recorded_at", Instant, nullable=False),
    Index("uq_host_agents_current", "agent_id", unique=True, sqlite_where=sa.text("valid_to IS NULL"),
          postgresql_where=sa.text("valid_to IS NULL")),
)  # fmt: skip

streams = Table(
    "streams",
    metadata,
    _host_id(),
    Column("stream", LargeBinary(16), primary_key=True),
    Column("agent_id", Uuid, ForeignKey("agents.agent_id"), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("superseded_at", Instant),  # a later stream of the same agent took over
    Column("serial", String(128)),  # with hostname: of the machine that opened it, as far as its report said
    Column("hostname", String(255)),
    Column("last_sequence", BigInteger),  # with boot_id: when it was superseded
    Column("boot_id", LargeBinary(16)),
    Column("returned_at", Instant),  # it spoke on nevertheless; null again once that was told as a clone
    Column("stayed_up", Boolean),  # it did so in the same boot
    Column("refused_at", Instant),  # it is a clone's; when that last spoke
)

stream_window = Table(  # the last 256 reports of a stream; slot = sequence mod 256
    "stream_window",
    metadata,
    _host_id(),
    Column("stream", LargeBinary(16), primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("payload_hash", LargeBinary(32), nullable=False),
)

enrollment_tokens = Table(
    "enrollment_tokens",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("zone", String(64)),
    Column("role", String(64)),
    Column("networks", Text, nullable=False, default="[]"),  # JSON list of CIDR; empty: any
    Column("sections", Text),  # JSON list, as in agents
    Column("pool", Boolean, nullable=False, default=False, server_default=sa.false()),  # for machines that forget
)

enrollments = Table(  # requests that collided and wait for a decision, and their outcome
    "enrollments",
    metadata,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("key_id", LargeBinary(16), nullable=False, unique=True),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False),
    Column("hostname", String(255), nullable=False),
    Column("machine_id", LargeBinary(32)),
    Column("serial", String(128)),
    Column("asset_number", String(64)),
    Column("agent_version", String(64), nullable=False),
    Column("family", String(32), nullable=False),
    Column("address", String(64), nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("status", String(16), nullable=False),  # pending, enrolled, refused
    Column("reason", Text, nullable=False, default=""),
    Column("collides_with", Uuid, ForeignKey("hosts.host_id")),
    Column("decided_at", Instant),
    Column("decided_by", String(100)),
    Column("host_id", Uuid, ForeignKey("hosts.host_id")),
)

assets = Table(  # rows of the office's ledger
    "assets",
    metadata,
    Column("asset_id", Uuid, primary_key=True),
    Column("asset_number", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False, default=""),
    Column("location", String(255), nullable=False, default=""),
    Column("recorded_at", Instant, nullable=False),
    Column("serial", String(128)),
    Column("attributes", Text, nullable=False, default="{}", server_default="{}"),  # JSON: as the ledger says now
    Column("listed_at", Instant),  # when an imported ledger had it last; null: put in by hand
    Column("expected_from", Instant),  # its machine is to report from then on; null: since recorded_at
    Column("removed_at", Instant),  # the office's ledger has it no more
)

host_assets = Table(
    "host_assets",
    metadata,
    _host_id(),
    Column("asset_id", Uuid, ForeignKey("assets.asset_id"), primary_key=True),
    Column("valid_from", Instant, primary_key=True),
    Column("valid_to", Instant),
    Column("recorded_at", Instant, nullable=False),
)

host_attributes = Table(  # zone, department, role, location, contact …
    "host_attributes",
    metadata,
    _host_id(),
    Column("name", String(64), primary_key=True),
    Column("valid_from", Instant, primary_key=True),
    Column("recorded_at", Instant, primary_key=True),
    Column("valid_to", Instant),
    Column("value", String(255), nullable=False),
    Index("uq_host_attributes_current", "host_id", "name", unique=True, sqlite_where=sa.text("valid_to IS NULL"),
          postgresql_where=sa.text("valid_to IS NULL")),
)  # fmt: skip

planned_attributes = Table(  # what holds of a machine from a day to come; settled rows stay
    "planned_attributes",
    metadata,
    _host_id(),
    Column("name", String(64), primary_key=True),
    Column("effective_on", String(10), primary_key=True),  # office-local date
    Column("recorded_at", Instant, primary_key=True),
    Column("value", String(255), nullable=False),
    Column("settled_at", Instant),
    Column("outcome", String(16), nullable=False, default=""),  # applied, replaced, overtaken, cancelled
    Index("uq_planned_attributes_open", "host_id", "name", "effective_on", unique=True,
          sqlite_where=sa.text("settled_at IS NULL"), postgresql_where=sa.text("settled_at IS NULL")),
)  # fmt: skip

scanner_results = Table(  # what another scanner said of a machine, rule by rule, from … to
    "scanner_results",
    metadata,
    _host_id(),
    Column("scanner", String(64), primary_key=True),
    Column("rule", String(255), primary_key=True),
    Column("observed_from", Instant, primary_key=True),
    Column("observed_to", Instant),
    Column("recorded_at", Instant, nullable=False),
    Column("status", String(16), nullable=False),  # as in results
    Column("said", String(16), nullable=False),  # the scanner's own word
    Column("severity", String(16), nullable=False, default=""),
    Column("title", Text, nullable=False, default=""),
    Index("uq_scanner_results_current", "host_id", "scanner", "rule", unique=True,
          sqlite_where=sa.text("observed_to IS NULL"), postgresql_where=sa.text("observed_to IS NULL")),
)  # fmt: skip

scanner_runs = Table(  # when another scanner looked at a machine, whether anything changed or not
    "scanner_runs",
    metadata,
    _host_id(),
    Column("scanner", String(64), primary_key=True),
    Column("ended_at", Instant, primary_key=True),
    Column("recorded_at", Instant, nullable=False),
    Column("results", Integer, nullable=False),
)

# ── facts and judgement ───────────────────────────────────────────────────────────────────────────────────────────────

section_versions = Table(
    "section_versions",
    metadata,
    _host_id(),
    Column("section", String(64), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("status", String(32), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("digest", LargeBinary(32), nullable=False),
    Column("data", LargeBinary),  # exactly the bytes that came
    Column("collected_at", Instant, nullable=False),
    Column("observed_from", Instant, nullable=False),
    Column("observed_to", Instant),
    Column("recorded_at", Instant, nullable=False),
    Index("uq_section_versions_current", "host_id", "section", unique=True,
          sqlite_where=sa.text("observed_to IS NULL"), postgresql_where=sa.text("observed_to IS NULL")),
)  # fmt: skip

results = Table(  # an answer of a check for a host, from … to
    "results",
    metadata,
    _host_id(),
    Column("check_id", String(128), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("status", String(16), nullable=False),  # pass, fail, unknown, not_applicable
    Column("reason", Text, nullable=False, default=""),
    Column("evidence", Text, nullable=False, default=""),
    Column("items", Text, nullable=False, default="[]"),  # JSON list of evaluate.model.Item
    Column("cause", String(16), nullable=False),  # machine, time, rules, attributes, baseline
    Column("ruleset", String(64), nullable=False),
    Column("observed_from", Instant, nullable=False),
    Column("observed_to", Instant),
    Column("recorded_at", Instant, nullable=False),
    Column("closed_at", Instant),  # when observed_to was recorded
    Index("uq_results_current", "host_id", "check_id", unique=True, sqlite_where=sa.text("observed_to IS NULL"),
          postgresql_where=sa.text("observed_to IS NULL")),
    Index("ix_results_current_check", "check_id", "status", sqlite_where=sa.text("observed_to IS NULL"),
          postgresql_where=sa.text("observed_to IS NULL")),
)  # fmt: skip

findings = Table(  # an open problem; closes only on pass, not_applicable or retirement
    "findings",
    metadata,
    _host_id(),
    Column("finding_id", Uuid, primary_key=True),
    Column("check_id", String(128), nullable=False),
    Column("item", String(255), nullable=False, default=""),  # key of the item; empty for a check without items
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),  # open, acknowledged, excepted, disputed, resolved
    Column("exception_id", Uuid),  # of the row of `exceptions` that covers it now: then it is excepted or disputed
    Column("evidence", Text, nullable=False, default=""),
    Column("opened_at", Instant, nullable=False),  # observed
    Column("recorded_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("unconfirmed_since", Instant),  # set while the check is unknown
    Column("resolved_at", Instant),  # observed
    Column("owner", String(100)),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", String(100)),
    Column("baseline_at", Instant),  # taken as known: what the office found when it began
    Index("ix_findings_exception_id", "exception_id", sqlite_where=sa.text("exception_id IS NOT NULL"),
          postgresql_where=sa.text("exception_id IS NOT NULL")),
    Index("uq_findings_unresolved", "host_id", "check_id", "item", unique=True,
          sqlite_where=sa.text("resolved_at IS NULL"), postgresql_where=sa.text("resolved_at IS NULL")),
)  # fmt: skip

asset_findings = Table(  # a row of the ledger whose machine never reported; as `findings`, where there is a machine
    "asset_findings",
    metadata,
    Column("asset_id", Uuid, ForeignKey("assets.asset_id"), primary_key=True),
    Column("finding_id", Uuid, primary_key=True),
    Column("check_id", String(128), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("exception_id", Uuid),
    Column("opened_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    Column("owner", String(100)),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", String(100)),
    Column("baseline_at", Instant),
    Index("uq_asset_findings_unresolved", "asset_id", "check_id", unique=True,
          sqlite_where=sa.text("resolved_at IS NULL"), postgresql_where=sa.text("resolved_at IS NULL")),
)  # fmt: skip

exceptions = Table(  # 例外措置 and 誤検知: which problems are borne with, from … to; written once, ended at most once
    "exceptions",
    metadata,
    Column("exception_id", Uuid, primary_key=True),
    Column("number", String(16), nullable=False, unique=True),  # how people call it: fiscal year, E or D, counter
    Column("kind", String(16), nullable=False),  # exception, dispute
    Column("check_id", String(128), nullable=False),
    Column("item", String(255)),  # null: every item of the check
    Column("host_id", Uuid, ForeignKey("hosts.host_id")),  # this and the next three, where given, must all be so
    Column("zone", String(64)),
    Column("department", String(255)),
    Column("role", String(255)),
    Column("reason", Text, nullable=False),
    Column("measure", Text, nullable=False, default=""),  # 代替策: what is done instead
    Column("approver", String(100), nullable=False, default=""),  # a post; a dispute needs none
    Column("valid_from", Instant, nullable=False),  # the first day's first moment at the office
    Column("valid_to", Instant, nullable=False),  # the first moment after the last day
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", String(100), nullable=False),
    Column("ended_at", Instant),  # taken back before its time; recorded at that moment, too
    Column("ended_by", String(100)),
    Column("ended_reason", Text),
)

attestations = Table(  # what the office says of itself; written once, withdrawn at most once, replaced by a later one
    "attestations",
    metadata,
    Column("attestation_id", Uuid, primary_key=True),
    Column("number", String(16), nullable=False, unique=True),  # how people call it: fiscal year, A, counter
    Column("question", String(64), nullable=False),  # id in `rules/attestations/`
    Column("asked", Text, nullable=False),  # the words of the question when it was answered
    Column("answer", String(16), nullable=False),  # yes, partly, no
    Column("attested_on", String(10), nullable=False),  # this and the next: office-local dates
    Column("due_on", String(10), nullable=False),  # the last day on which it holds
    Column("post", String(100), nullable=False),
    Column("name", String(100), nullable=False),  # of the person, as the office writes it
    Column("evidence", Text, nullable=False, default=""),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", String(100), nullable=False),
    Column("withdrawn_at", Instant),
    Column("withdrawn_by", String(100)),
    Column("withdrawn_reason", Text),
)

transitions = Table(  # append-only; written with the result that caused it
    "transitions",
    metadata,
    Column("transition_id", AutoId, primary_key=True, autoincrement=True),
    Column("host_id", Uuid, ForeignKey("hosts.host_id"), index=True),  # null: of the whole collector, or of an asset
    Column("event", String(16), nullable=False),  # opened, reopened, resolved, excepted, disputed;
    # first_state (of a host), ruleset (of the collector)
    Column("cause", String(16), nullable=False),
    Column("check_id", String(128), nullable=False, default=""),
    Column("item", String(255), nullable=False, default=""),  # of an asset its number
    Column("finding_id", Uuid),
    Column("severity", String(16), nullable=False, default=""),
    Column("zone", String(64), nullable=False, default=""),  # of the host at that moment; label of the counter
    Column("evidence", Text, nullable=False, default=""),
    Column("observed_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
)

# ── telling people, and running ───────────────────────────────────────────────────────────────────────────────────────

dispatches, deliveries = service.dispatches, service.deliveries
rulesets, jobs, archived_reports = service.rulesets, service.jobs, service.archived_reports
audit, sign_ins = service.audit, service.sign_ins
