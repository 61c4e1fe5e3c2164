-- name: keep_configuration
-- The text of a configuration is kept once, under its hash.
insert into configurations (config_hash, texts, first_used_at)
values (:config_hash, cast(:texts as jsonb), :now)
on conflict (config_hash) do nothing

-- name: find_configuration
-- The files of a configuration, by name.
select texts
from configurations
where config_hash = :config_hash

-- name: find_campaign_file
-- The file of its campaign a cycle was opened with.
select campaign_file_of(:campaign, :cycle)

-- name: find_cycle
-- What a cycle may know, the month of its factors, and whether it is fixed.
select
    month,
    as_of,
    config_hash,
    fixed_at
from cycles
where campaign = :campaign and cycle = :cycle

-- name: open_cycle
-- The first attempt at a cycle stores its as_of and configuration.
insert into cycles (
    campaign, cycle, cadence, month, as_of, config_hash, opened_at,
    precedence, beside_others, is_shadow, measure, horizon_ends_at, dispatch_ends_at
)
values (
    :campaign, :cycle, :cadence, :month, :as_of, :config_hash, :now,
    :precedence, :beside_others, :is_shadow, :measure, :horizon_ends_at, :dispatch_ends_at
)

-- name: reopen_cycle
-- Until its first dispatch a cycle takes the newest as_of and configuration asked for.
update cycles
set
    month = :month,
    as_of = :as_of,
    config_hash = :config_hash,
    precedence = :precedence,
    beside_others = :beside_others,
    is_shadow = :is_shadow,
    measure = :measure,
    horizon_ends_at = :horizon_ends_at,
    dispatch_ends_at = :dispatch_ends_at
where campaign = :campaign and cycle = :cycle and fixed_at is null

-- name: keep_revision
-- One row per revision; revision 0 follows its cycle until that is fixed.
insert into cycle_revisions (campaign, cycle, revision, as_of, config_hash, opened_at)
values (:campaign, :cycle, :revision, :as_of, :config_hash, :now)
on conflict (campaign, cycle, revision)
do update set as_of = excluded.as_of, config_hash = excluded.config_hash

-- name: find_revision
-- The re-run of a fixed cycle with this very as_of and configuration, if there was one.
select revision
from cycle_revisions
where
    campaign = :campaign and cycle = :cycle and revision > 0
    and as_of = :as_of and config_hash = :config_hash

-- name: next_revision
-- The number of the next re-run of a fixed cycle.
select coalesce(max(revision), 0) + 1 as revision
from cycle_revisions
where campaign = :campaign and cycle = :cycle

-- name: is_fixed
-- Whether the cycle has been dispatched.
select fixed_at is not null as is_fixed
from cycles
where campaign = :campaign and cycle = :cycle

-- name: dispatched_from
-- What fixed the cycle, when it was dispatched.
select fixed_facts
from cycles
where campaign = :campaign and cycle = :cycle and fixed_at is not null

-- name: record_stage
-- What a finished stage counted, how long it took and how much memory.
insert into stage_runs (campaign, cycle, stage, finished_at, seconds, peak_mb, facts)
values (:campaign, :cycle, :stage, :now, :seconds, :peak_mb, cast(:facts as jsonb))
