-- name: contact_weights
-- Weights other than one for training on a month: people reached drop (0), held-out of their cycles stand in for them.
with contacted as (
    select distinct
        tickets.subscriber_id,
        tickets.cycle
    from contact_attempts
    inner join tickets on contact_attempts.ticket_id = tickets.ticket_id
    where
        tickets.campaign = :campaign
        and contact_attempts.result <> 'no_answer'
        and contact_attempts.attempted_at >= coalesce(
            (select cycles.as_of from cycles where cycles.campaign = :campaign and cycles.cycle = :month),
            :scored_at
        )
        and contact_attempts.attempted_at < :horizon_ends_at
),

weighed as (
    select
        contacted.subscriber_id,
        0.0::double precision as weight
    from contacted
    union all
    select
        assignments.subscriber_id,
        1 / assignments.probability_of_assignment as weight
    from assignments
    where
        assignments.campaign = :campaign
        and assignments.arm = 'held_out'
        and not assignments.is_recalled
        and assignments.cycle in (select contacted.cycle from contacted)
)

select
    weighed.subscriber_id,
    min(weighed.weight) as weight
from weighed
group by weighed.subscriber_id
order by weighed.subscriber_id;

-- name: model
-- One model version as registered.
select
    models.model_version,
    models.cluster,
    models.kind,
    models.trained_for,
    models.as_of,
    models.window_months,
    models.sha256,
    models.metrics,
    models.base_rate,
    models.state
from models
where models.model_version = :model_version;

-- name: register_model
-- Enter a trained version as a candidate; trained again from the same data it keeps its row.
insert into models (
    model_version, campaign, cluster, kind, trained_for, trained_at, as_of, window_months, sha256, metrics,
    base_rate, state
)
values (
    :model_version, :campaign, :cluster, :kind, :trained_for, :trained_at, :as_of, :window_months, :sha256,
    cast(:metrics as jsonb), :base_rate, 'candidate'
)
on conflict (model_version) do update
    set
        as_of = least(models.as_of, excluded.as_of),
        sha256 = excluded.sha256,
        metrics = excluded.metrics;

-- name: known_earlier
-- The same data were trained on for an earlier instant: the version was knowable then.
update models set as_of = :as_of
where models.model_version = :model_version and models.as_of > :as_of;

-- name: retire_champion
-- The champion steps down for a successor that knows at least as much.
update models set state = 'retired'
where
    models.campaign = :campaign
    and models.cluster = :cluster
    and models.state = 'champion'
    and models.as_of <= :as_of;

-- name: promote
-- Make a version champion from its as_of on; one of a replayed past stays behind today's champion.
update models set
    promoted_at = :now,
    state = case
        when exists (
            select 1 from models as standing
            where
                standing.campaign = models.campaign
                and standing.cluster = models.cluster
                and standing.state = 'champion'
        ) then 'retired'
        else 'champion'
    end
where models.model_version = :model_version
returning models.state;
