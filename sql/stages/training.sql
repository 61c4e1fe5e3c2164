-- name: contact_weights
-- Weights other than one for training on a month, of each draw a subscriber is in. Where people of a cycle of any
-- campaign were reached or written to, the arm that was to be drops as a whole (0) and its held-out stand in for it.
-- Talks the customer began count for nothing. Campaigns that share a measure share its draw.
with scored as (
    select coalesce(
        (select cycles.as_of from cycles where cycles.campaign = :campaign and cycles.cycle = :cycle), :scored_at
    ) as since
),

contacted as (
    select distinct t.subscriber_id, t.campaign, t.cycle
    from contact_attempts as a
    inner join tickets as t on a.ticket_id = t.ticket_id
    where
        a.result <> 'no_answer'
        and a.attempted_at >= (select scored.since from scored) and a.attempted_at < :horizon_ends_at
),

-- an offer by SMS or app works on people as well; its list has a hold-out of its own
written_to as (
    select o.subscriber_id, o.campaign, o.cycle
    from outreach_items as o
    where
        o.decision = 'listed' and coalesce(o.send_from, o.listed_at) < :horizon_ends_at
        and coalesce(o.send_from, o.listed_at) >= (select scored.since from scored)
),

weighed as (
    -- whoever was reached is no example, whatever stands for them
    select contacted.*, 0.0::double precision as weight from contacted
    union all
    select written_to.*, 0.0 as weight from written_to
    union all
    select
        a.subscriber_id, a.campaign, a.cycle, case a.arm when 'held_out' then 1 / a.probability_of_assignment else 0.0 end
    from assignments as a
    where
        not a.is_recalled and (a.campaign, a.cycle) in (select contacted.campaign, contacted.cycle from contacted)
        -- where nobody was held out, or no longer counts as such, nobody could stand in
        and (a.campaign, a.cycle) in (
            select h.campaign, h.cycle from assignments as h where h.arm = 'held_out' and not h.is_recalled
        )
    union all
    select
        o.subscriber_id, o.campaign, o.cycle, case o.decision when 'held_out' then 1 / o.probability_of_assignment else 0.0 end
    from outreach_items as o
    where
        o.decision in ('listed', 'held_out')
        and (o.campaign, o.cycle) in (select written_to.campaign, written_to.cycle from written_to)
        and (o.campaign, o.cycle) in (select h.campaign, h.cycle from outreach_items as h where h.decision = 'held_out')
),

by_draw as (
    select weighed.subscriber_id, coalesce(cycles.measure, weighed.campaign) as draw, min(weighed.weight) as weight
    from weighed
    inner join cycles on weighed.campaign = cycles.campaign and weighed.cycle = cycles.cycle
    group by weighed.subscriber_id, draw
)

select by_draw.subscriber_id, array_agg(by_draw.weight order by by_draw.draw) as weights
from by_draw
group by by_draw.subscriber_id
order by by_draw.subscriber_id;

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
