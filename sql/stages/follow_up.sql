-- name: revisions
-- Every scored cycle of a campaign and its revisions, oldest first.
select
    cycles.cycle,
    cycles.month,
    cycle_revisions.revision
from cycles
inner join cycle_revisions
    on
        cycles.campaign = cycle_revisions.campaign
        and cycles.cycle = cycle_revisions.cycle
where cycles.campaign = :campaign and cycles.month is not null
order by cycles.month, cycles.cycle, cycle_revisions.revision;

-- name: labels_seen
-- The label of each month as the newest training that looked at it saw it.
select distinct on (seen.month)
    seen.month,
    seen.fingerprint
from stage_runs
cross join lateral jsonb_each_text(stage_runs.facts -> 'labels_seen') as seen (month, fingerprint)
where stage_runs.campaign = :campaign and stage_runs.stage = 'training'
order by seen.month, stage_runs.stage_run_id desc;

-- name: assigned
-- Whom a cycle put into an arm.
select assignments.subscriber_id
from assignments
where assignments.campaign = :campaign and assignments.cycle = :cycle;

-- name: keep_known_on
-- The day from which on the success of a cycle can be known.
update cycles set known_on = :known_on
where
    cycles.campaign = :campaign and cycles.cycle = :cycle
    and cycles.known_on is distinct from cast(:known_on as date);

-- name: record_outcomes
-- What became of every assignment of a cycle, leaving and success each once it is known; what was known before and no
-- longer can be, because the deliveries are gone, stays. A row changes, and its time with it, only when the fact does.
insert into outcomes (assignment_id, month_observed, has_churned, churned_on, reason, has_succeeded, observed_at)
select
    assignments.assignment_id,
    cast(:month_observed as text) as month_observed,
    case when :is_left_known then left_ones.churned_on is not null end as has_churned,
    left_ones.churned_on,
    left_ones.reason,
    case
        when not :is_success_known then null
        when judged.subscriber_id is null then false
        else judged.has_succeeded
    end as has_succeeded,
    cast(:now as timestamptz) as observed_at
from assignments
left join
    unnest(
        cast(:leavers as text []), cast(:days as date []), cast(:reasons as text [])
    ) as left_ones (subscriber_id, churned_on, reason)
    on assignments.subscriber_id = left_ones.subscriber_id
left join
    unnest(cast(:judged as text []), cast(:successes as boolean [])) as judged (subscriber_id, has_succeeded)
    on assignments.subscriber_id = judged.subscriber_id
where assignments.campaign = :campaign and assignments.cycle = :cycle
on conflict (assignment_id) do update
    set (month_observed, has_churned, churned_on, reason, has_succeeded, observed_at) = (
        select
            excluded.month_observed,
            case when :is_left_known then excluded.has_churned else outcomes.has_churned end,
            case when :is_left_known then excluded.churned_on else outcomes.churned_on end,
            case when :is_left_known then excluded.reason else outcomes.reason end,
            case when :is_success_known then excluded.has_succeeded else outcomes.has_succeeded end,
            excluded.observed_at
    )
    where
        outcomes.month_observed <> excluded.month_observed
        or (
            :is_left_known
            and (outcomes.has_churned, outcomes.churned_on, outcomes.reason)
            is distinct from (excluded.has_churned, excluded.churned_on, excluded.reason)
        )
        or (:is_success_known and outcomes.has_succeeded is distinct from excluded.has_succeeded);

-- name: arms
-- Per arm, and whether a person was reached before the horizon's end, of how many leaving is known and who left, of how
-- many success and who succeeded: of customers at their first assignment of the epoch by the campaign, or by another
-- that shares its draw, for what follows a contact may take the arms apart.
select
    assignments.arm,
    coalesce(reached.is_reached, false) as is_reached,
    count(outcomes.has_churned) as subscribers,
    count(*) filter (where outcomes.has_churned) as churned,
    count(outcomes.has_succeeded) as judged,
    count(*) filter (where outcomes.has_succeeded) as succeeded
from assignments
inner join outcomes on assignments.assignment_id = outcomes.assignment_id
left join tickets on assignments.assignment_id = tickets.assignment_id
left join lateral (
    select true as is_reached
    from contact_attempts
    where
        contact_attempts.ticket_id = tickets.ticket_id
        and contact_attempts.result <> 'no_answer'
        and contact_attempts.attempted_at < :horizon_ends_at
    limit 1
) as reached on true
where
    assignments.campaign = :campaign and assignments.cycle = :cycle and not assignments.is_recalled
    and not exists (
        select 1 from assignments as earlier
        where
            earlier.campaign = assignments.campaign and earlier.epoch = assignments.epoch
            and earlier.cycle < assignments.cycle and not earlier.is_recalled
            and earlier.customer_key = assignments.customer_key
    )
    and not exists (
        select 1 from assignments as earlier
        where
            earlier.campaign = assignments.campaign and earlier.epoch = assignments.epoch
            and earlier.cycle < assignments.cycle and not earlier.is_recalled
            and earlier.subscriber_id = assignments.subscriber_id
    )
    and not exists (
        select 1 from assignments as earlier
        where
            earlier.measure = assignments.measure and earlier.epoch = assignments.epoch
            and earlier.campaign <> assignments.campaign
            and earlier.assigned_at < assignments.assigned_at and not earlier.is_recalled
            and earlier.customer_key = assignments.customer_key
    )
    and not exists (
        select 1 from assignments as earlier
        where
            earlier.measure = assignments.measure and earlier.epoch = assignments.epoch
            and earlier.campaign <> assignments.campaign
            and earlier.assigned_at < assignments.assigned_at and not earlier.is_recalled
            and earlier.subscriber_id = assignments.subscriber_id
    )
group by assignments.arm, coalesce(reached.is_reached, false)
order by assignments.arm, is_reached;

-- name: forget_evaluations
-- Make room for the figures of a cycle's revision.
select forget_evaluations(:campaign, :cycle, cast(:revision as integer)) as figures;

-- name: write_evaluation
-- One figure of a slice of a cycle's revision.
insert into evaluations (
    campaign, cycle, revision, slice, slice_value, metric, value, subscribers, evaluated_at
)
values (:campaign, :cycle, :revision, :slice, :slice_value, :metric, :value, :subscribers, :now);
