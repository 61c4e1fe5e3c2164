-- name: find_cycle
-- The cycle as it stands, locked against another dispatcher.
select as_of, config_hash, fixed_at, dispatch_summary
from cycles
where campaign = :campaign and cycle = :cycle
for update

-- name: find_candidates
-- The admitted of a revision, best rank first, with what bars a customer in the database, in any campaign. Each is looked
-- up by customer and by number apart: asked for either at once the server would read every row for each of them.
select
    w.subscriber_id, w.customer_key, w.rank, w.cluster, w.probability, w.model_version, w.grade, w.tier, w.rule_hits,
    w.rule_points, w.value_yuan, w.region_code, w.branch_code, w.tenure_months, standing.ticket_id as unfinished_ticket_id,
    coalesce(taken.is_here, false) as is_assigned,
    coalesce(taken.is_elsewhere, false) as is_elsewhere,
    coalesce(taken.is_cooling_off, false) as is_cooling_off,
    taken.in_month as taken_up_in_month,
    taken.in_quarter as taken_up_in_quarter,
    (
        select s.arm
        from subscriber_arms as s
        where s.measure = :measure and s.epoch = :epoch and s.subscriber_id = w.subscriber_id
    ) as own_arm
from warnings as w
left join lateral (
    select min(found.ticket_id) as ticket_id
    from (
        select t.ticket_id
        from tickets as t
        where
            t.customer_key = w.customer_key and not is_finished(t.state)
            and (t.campaign = w.campaign or not (:beside_others and t.beside))
        union
        select t.ticket_id
        from tickets as t
        where
            t.subscriber_id = w.subscriber_id and not is_finished(t.state)
            and (t.campaign = w.campaign or not (:beside_others and t.beside))
    ) as found
) as standing on true
left join lateral (
    select
        bool_or(found.means = 'ticket' and found.campaign = w.campaign and found.cycle = w.cycle) as is_here,
        -- Either arm is as good as a ticket until its horizon ends, or treated and held-out would fare differently.
        -- Beside others, whom another span of the same draw holds out is left in peace all the same.
        bool_or(
            found.means = 'ticket' and found.campaign <> w.campaign and c.horizon_ends_at > :as_of
            and (
                not (:beside_others and c.beside_others)
                or (found.arm = 'held_out' and found.measure = :measure and found.epoch <> :epoch)
            )
        ) as is_elsewhere,
        bool_or(
            found.means = 'ticket' and found.campaign = w.campaign and found.cycle <> w.cycle
            and c.as_of > cast(:as_of as timestamptz) - make_interval(days => :cooling_off_days)
            and c.as_of <= cast(:as_of as timestamptz) + make_interval(days => :cooling_off_days)
        ) as is_cooling_off,
        count(*) filter (where found.taken_up_at > cast(:now as timestamptz) - interval '31 days') as in_month,
        count(*) filter (where found.taken_up_at > cast(:now as timestamptz) - interval '92 days') as in_quarter
    -- a union that counts a row once is made before it is joined: few rows of one person, then their cycles by key
    from (
        select * from taken_up where customer_key = w.customer_key
        union
        select * from taken_up where subscriber_id = w.subscriber_id
    ) as found
    inner join cycles as c on found.campaign = c.campaign and found.cycle = c.cycle
) as taken on true
where
    w.campaign = :campaign and w.cycle = :cycle and w.revision = :revision
    and w.is_admitted
order by w.rank

-- name: find_better_placed
-- The campaign each is left to: the best placed that has graded them, has not dispatched yet and may do so still.
with better as (
    select campaign, cycle, precedence
    from cycles
    where
        campaign <> :campaign and (precedence, campaign) < (:precedence, :campaign)
        and fixed_at is null and not is_shadow and dispatch_ends_at > :now
        and not (:beside_others and beside_others)
),

mine as (
    select subscriber_id, customer_key
    from warnings
    where campaign = :campaign and cycle = :cycle and revision = :revision and is_admitted
),

theirs as (
    select better.precedence, better.campaign, w.subscriber_id, w.customer_key
    from better
    inner join warnings as w on better.campaign = w.campaign and better.cycle = w.cycle
    where w.revision = 0 and w.is_admitted
)

select distinct on (found.subscriber_id) found.subscriber_id, found.campaign
from (
    select mine.subscriber_id, theirs.precedence, theirs.campaign
    from mine
    inner join theirs on mine.customer_key = theirs.customer_key
    union all
    select mine.subscriber_id, theirs.precedence, theirs.campaign
    from mine
    inner join theirs on mine.subscriber_id = theirs.subscriber_id
) as found
order by found.subscriber_id, found.precedence, found.campaign

-- name: find_barred
-- Who may not be called in any campaign by what the database knows, the gravest reason first: add sources here.
with warned as (
    select w.subscriber_id, w.customer_key
    from warnings as w
    where
        w.campaign = :campaign and w.cycle = :cycle and w.revision = :revision
        and w.is_admitted
),

-- also of months that have left the lake, where the feed itself is read
limits as (
    select *
    from limits_in_force
    where valid_from < :day and (valid_to is null or valid_to >= :day)
)

select distinct on (found.subscriber_id) found.subscriber_id, found.reason
from (
    select warned.subscriber_id, limits.kind as reason, limits.gravity
    from warned
    inner join limits on warned.customer_key = limits.customer_key and limits.holds_for_customer
    union all
    select warned.subscriber_id, limits.kind, limits.gravity
    from warned
    inner join limits on warned.subscriber_id = limits.subscriber_id and limits.holds_for_number
) as found
order by found.subscriber_id, found.gravity

-- name: draw_arms
-- An arm is drawn once per customer, measure and epoch; whoever has one keeps it, whatever the share is now.
insert into arms (measure, epoch, customer_key, arm, held_out_share, decided_at)
select :measure, :epoch, drawn.customer_key, drawn.arm, :held_out_share, :now
from unnest(cast(:customer_keys as text []), cast(:arms as text [])) as drawn (customer_key, arm)
on conflict (measure, epoch, customer_key) do nothing

-- name: read_arms
-- The arms these customers were drawn into.
select customer_key, arm, held_out_share
from arms
where measure = :measure and epoch = :epoch and customer_key = any(cast(:customer_keys as text []))

-- name: keep_subscriber_arms
-- What a subscriber was assigned to holds for the epoch, whichever customer the number belongs to later.
insert into subscriber_arms (measure, epoch, subscriber_id, arm)
select :measure, :epoch, subscriber_id, decision
from dispatch_stage
where decision in ('treated', 'held_out')
on conflict (measure, epoch, subscriber_id) do nothing

-- name: count_warned
-- How many a revision warned of: graded high, or admitted where the campaign does not grade.
select count(*) as high
from warnings
where
    campaign = :campaign and cycle = :cycle and revision = :revision
    and (grade = 'high' or (grade is null and is_admitted))

-- name: count_warned_before
-- The high warnings of the newest earlier cycle that was dispatched, and of how many scored.
select
    c.cycle,
    cast(c.dispatch_summary ->> 'high' as bigint) as high,
    cast(c.dispatch_summary ->> 'scored' as bigint) as scored
from cycles as c
where c.campaign = :campaign and c.cycle < :cycle and c.fixed_at is not null
order by c.cycle desc
limit 1

-- name: read_priority
-- What routes the admitted of a revision to teams, best rank first.
select subscriber_id, customer_key, rank, value_yuan, tenure_months
from warnings
where
    campaign = :campaign and cycle = :cycle and revision = :revision
    and is_admitted
order by rank

-- name: hash_warnings
-- One text that differs as soon as anybody of a revision is warned otherwise or ranked otherwise.
select encode(sha256(convert_to(coalesce(string_agg(
    concat_ws('|', subscriber_id, customer_key, grade, tier, rank), ',' order by subscriber_id
), ''), 'UTF8')), 'hex')
from warnings
where campaign = :campaign and cycle = :cycle and revision = :revision

-- name: count_splits
-- High-priority warnings by region, cluster and rule: of this cycle's revision and of the cycle before.
with warned as (
    select (cycle = :cycle) as is_new, region_code, cluster, rule_hits
    from warnings
    where
        campaign = :campaign and is_admitted
        and ((cycle = :cycle and revision = :revision) or (cycle = :before and revision = 0))
),

split as (
    select 'region' as slice, coalesce(region_code, '') as word, is_new from warned
    union all
    select 'cluster' as slice, cluster as word, is_new from warned
    union all
    select 'rule' as slice, hit as word, is_new from warned cross join unnest(rule_hits) as hits (hit)
)

select
    slice,
    word,
    count(*) filter (where is_new) as warned_now,
    count(*) filter (where not is_new) as warned_before
from split
group by slice, word
order by slice, warned_now desc, warned_before desc, word

-- name: count_reasons_before
-- The first reason of everybody assigned in an earlier cycle, by factor.
select a.evidence -> 'reasons' -> 0 ->> 'factor' as factor, count(*) as subscribers
from assignments as a
where
    a.campaign = :campaign and a.cycle = :before and not a.is_recalled
    and jsonb_array_length(a.evidence -> 'reasons') > 0
group by factor

-- name: champions_before
-- The models that scored the newest earlier cycle that was dispatched.
select fixed_facts -> 'champions' as champions
from cycles
where campaign = :campaign and cycle < :cycle and fixed_at is not null
order by cycle desc
limit 1

-- name: read_cut
-- Who stays out of reach in a dispatched cycle and what one more agent would be worth, in words.
select dispatch_summary -> 'cut' ->> 'en' as en, dispatch_summary -> 'cut' ->> 'zh' as zh
from cycles
where campaign = :campaign and cycle = :cycle and dispatch_summary -> 'cut' is not null

-- name: find_leaders
-- Who of these staff codes can be given tickets, and in which team.
select staff_code, team
from staff
where
    staff_code = any(cast(:codes as text [])) and team = any(cast(:teams as text []))
    and is_active and role = 'agent'

-- name: stage_decisions
-- The decisions of this dispatch, on their way into the tables below.
create temporary table dispatch_stage (
    subscriber_id text primary key,
    customer_key text not null,
    rank integer not null,
    decision text not null,
    reason text,
    linked_ticket_id bigint,
    linked_subscriber_id text,
    yields_to text,
    probability_of_assignment double precision,
    evidence jsonb,
    evidence_sha256 text,
    team text,
    branch_code text,
    region_code text,
    grade text,
    tier text,
    value_yuan numeric(14, 4),
    expected_on date,
    msisdn text,
    skill text,
    is_pool boolean,
    led_by text,
    shared_by text,
    routed_to text
) on commit drop

-- name: write_assignments
-- Both arms, with the evidence frozen; the foreign key to arms keeps a customer in one arm of the measure and epoch.
insert into assignments (
    campaign, cycle, measure, subscriber_id, customer_key, epoch, arm, probability_of_assignment, rank,
    evidence, evidence_sha256, assigned_at
)
select
    :campaign, :cycle, :measure, subscriber_id, customer_key, :epoch, decision, probability_of_assignment, rank,
    evidence, evidence_sha256, :now
from dispatch_stage
where decision in ('treated', 'held_out')
order by rank

-- name: write_tickets
-- One waiting ticket per treated assignment, its first event and the number to call, in one statement.
with made as (
    insert into tickets (
        assignment_id, campaign, cycle, subscriber_id, customer_key, state, team, branch_code, region_code,
        grade, tier, rank, value_yuan, dispatched_at, expires_at, expected_on, skill, precedence, beside, is_pool,
        led_by, shared_by
    )
    select
        a.assignment_id, a.campaign, a.cycle, a.subscriber_id, a.customer_key, 'waiting', s.team, s.branch_code,
        s.region_code, s.grade, s.tier, s.rank, s.value_yuan, :now,
        cast(:now as timestamptz) + make_interval(days => :waiting_days), s.expected_on, s.skill, :precedence,
        :beside_others, coalesce(s.is_pool, false), s.led_by, s.shared_by
    from dispatch_stage as s
    inner join assignments as a
        on a.campaign = :campaign and a.cycle = :cycle and s.subscriber_id = a.subscriber_id and not a.is_recalled
    where s.decision = 'treated'
    order by s.rank
    returning ticket_id, subscriber_id, version
),

told as (
    insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)
    select ticket_id, version, 'dispatch', 'waiting', 'loop', :now
    from made
)

insert into ticket_phones (ticket_id, msisdn)
select m.ticket_id, s.msisdn
from made as m
inner join dispatch_stage as s on m.subscriber_id = s.subscriber_id
where s.msisdn is not null

-- name: forget_decisions
-- What was decided in the shadow, before the cycle is decided for real or in the shadow again.
delete from dispatch_decisions
where campaign = :campaign and cycle = :cycle

-- name: write_decisions
-- What was decided for everybody admitted; a top-up replaces what it decides anew.
insert into dispatch_decisions (
    campaign, cycle, subscriber_id, customer_key, rank, decision, reason, linked_ticket_id, yields_to, decided_at, team
)
select
    :campaign, :cycle, s.subscriber_id, s.customer_key, s.rank, s.decision, s.reason,
    coalesce(s.linked_ticket_id, t.ticket_id), s.yields_to, :now, s.routed_to
from dispatch_stage as s
left join tickets as t
    on
        t.campaign = :campaign and t.cycle = :cycle and s.linked_subscriber_id = t.subscriber_id
        and not t.is_recalled
on conflict (campaign, cycle, subscriber_id)
do update set
    rank = excluded.rank,
    decision = excluded.decision,
    reason = excluded.reason,
    linked_ticket_id = excluded.linked_ticket_id,
    yields_to = excluded.yields_to,
    decided_at = excluded.decided_at,
    team = excluded.team

-- name: fix_cycle
-- From its first dispatch on a cycle is what people act on; only a top-up changes its summary.
update cycles
set
    fixed_at = coalesce(fixed_at, :now),
    fixed_facts = coalesce(fixed_facts, cast(:facts as jsonb)),
    dispatch_summary = cast(:summary as jsonb)
where campaign = :campaign and cycle = :cycle

-- name: keep_shadow
-- What a dispatch in the shadow would have done.
update cycles
set dispatch_summary = cast(:summary as jsonb)
where campaign = :campaign and cycle = :cycle and fixed_at is null

-- name: compare_revision
-- How the admitted of a re-run differ from those the fixed cycle decided on.
with again as (
    select subscriber_id
    from warnings
    where
        campaign = :campaign and cycle = :cycle and revision = :revision
        and is_admitted
),

acted as (
    select subscriber_id
    from dispatch_decisions
    where campaign = :campaign and cycle = :cycle
)

select
    (select count(*) from again) as admitted,
    (select count(*) from again where subscriber_id not in (select subscriber_id from acted)) as would_come,
    (select count(*) from acted where subscriber_id not in (select subscriber_id from again)) as would_go

-- name: keep_comparison
-- How far a re-run differs from the fixed cycle.
update cycle_revisions
set comparison = cast(:comparison as jsonb)
where campaign = :campaign and cycle = :cycle and revision = :revision

-- name: find_named
-- Whether what a recall names exists: the cycle, the team and the rule in it; and the newest cycles.
select
    exists(select 1 from cycles where campaign = :campaign and cycle = :cycle) as is_known,
    array(
        select c.cycle from cycles as c
        where c.campaign = :campaign
        order by c.opened_at desc
        limit 3
    ) as newest,
    exists(
        select 1 from dispatch_decisions
        where campaign = :campaign and cycle = :cycle and team = cast(:team as text)
    ) as has_team,
    exists(
        select 1 from assignments
        where
            campaign = :campaign and cycle = :cycle
            and evidence @> jsonb_build_object(
                'rules', jsonb_build_array(jsonb_build_object('rule', cast(:rule as text)))
            )
    ) as has_rule

-- name: find_recalled
-- What a recall takes back: unfinished tickets of the selection nobody was contacted on, and its held-out.
select
    a.assignment_id,
    a.arm,
    t.ticket_id,
    t.state,
    exists(select 1 from contact_attempts as c where c.ticket_id = t.ticket_id) as is_contacted
from assignments as a
left join tickets as t on a.assignment_id = t.assignment_id
left join dispatch_decisions as d
    on a.campaign = d.campaign and a.cycle = d.cycle and a.subscriber_id = d.subscriber_id
where
    a.campaign = :campaign and a.cycle = :cycle and not a.is_recalled
    and (cast(:team as text) is null or coalesce(d.team, t.team) = :team)
    and (cast(:region as text) is null or coalesce(t.region_code, a.evidence -> 'subscriber' ->> 'region_code') = :region)
    and (
        cast(:rule as text) is null
        or a.evidence @> jsonb_build_object('rules', jsonb_build_array(jsonb_build_object('rule', cast(:rule as text))))
    )
order by t.ticket_id
for update of a

-- name: lock_recalled
-- The tickets to take back, locked in the order of their number.
select ticket_id
from tickets
where ticket_id = any(cast(:ticket_ids as bigint []))
order by ticket_id
for update

-- name: recall_tickets
-- Take tickets back: state, event and clocks in one statement; a clock that had run out is breached all the same.
with recalled as (
    update tickets
    set state = 'cancelled', is_recalled = true, version = version + 1, closed_at = :now, paused_until = null
    from (select ticket_id, state from tickets where ticket_id = any(cast(:ticket_ids as bigint []))) as seen
    where tickets.ticket_id = seen.ticket_id and tickets.state = any(cast(:states as text []))
    returning tickets.ticket_id, tickets.version, seen.state as from_state
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select
        ticket_id, version, 'recall', from_state, 'cancelled', :actor, :now,
        jsonb_build_object('because', cast(:because as text))
    from recalled
),

voided as (
    update ticket_clocks
    set
        voided_at = :now,
        breached_at = breached_when_stopped(due_at, :now),
        noticed_at = noticed_when_stopped(due_at, noticed_at, :now)
    where
        ticket_id in (select ticket_id from recalled)
        and met_at is null and voided_at is null
    returning ticket_id
)

select
    (select count(*) from recalled) as tickets,
    (select count(*) from voided) as clocks

-- name: recall_assignments
-- Free the places of what was recalled; the arms of its customers stay.
update assignments
set is_recalled = true, recalled_at = :now
where assignment_id = any(cast(:assignment_ids as bigint [])) and not is_recalled

-- name: keep_recall
-- A recall is asked about later: who took back what, on whose word.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :actor, 'recall', :subject, cast(:details as jsonb))
