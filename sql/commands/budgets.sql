-- name: lock_pot
-- A pot as it stands, locked against plans being recorded.
select pot_id, limit_yuan, reserved_yuan, committed_yuan
from budget_pots
where
    campaign = :campaign and starts_on = :starts_on and ends_on = :ends_on
    and branch_code is not distinct from cast(:branch_code as text)
for update

-- name: set_pot
-- A pot is filled, or its limit changed; what plans hold stays.
insert into budget_pots (campaign, starts_on, ends_on, branch_code, limit_yuan, warn_share, set_by, set_at)
values (:campaign, :starts_on, :ends_on, :branch_code, :limit_yuan, :warn_share, :by, :now)
on conflict (campaign, starts_on, ends_on, branch_code)
do update set
    limit_yuan = excluded.limit_yuan,
    warn_share = excluded.warn_share,
    set_by = excluded.set_by,
    set_at = excluded.set_at
returning pot_id

-- name: find_branch
-- Whether a branch is known, and a few that are.
select
    exists(select 1 from branches where branch_code = :branch_code) as is_known,
    array(select branch_code from branches order by branch_code limit 5) as examples

-- name: read_pots
-- Every pot of a campaign, the newest period first.
select
    pot_id, branch_code, starts_on, ends_on, limit_yuan, reserved_yuan, committed_yuan,
    limit_yuan - reserved_yuan - committed_yuan as left_yuan, set_by, set_at
from budget_pots
where campaign = :campaign
order by starts_on desc, ends_on, branch_code nulls first

-- name: release_lapsed
-- What closed tickets reserve for offers that have lapsed is free again, in every pot of the campaign.
select release_lapsed_budget(:day, :now, array(
    select pot_id from budget_pots
    where campaign = :campaign
)) as movements

-- name: record_audit
-- Who changed what somebody may spend.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :by, :action, :subject, cast(:details as jsonb))
