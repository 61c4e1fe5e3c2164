-- name: read_facts
-- What is known of the subscriber of a ticket, frozen at dispatch, and what people have recorded since.
select
    t.ticket_id, t.campaign, t.cycle, t.state, t.outcome, t.closed_at, a.evidence,
    (
        select s.needs from needs_surveys as s
        where s.ticket_id = t.ticket_id
        order by s.survey_id desc
        limit 1
    ) as needs
from tickets as t
inner join assignments as a on t.assignment_id = a.assignment_id
where t.ticket_id = :ticket_id

-- name: read_given_offers
-- The offers the subscriber has, whoever processed them.
select offer_name, given_at
from offers_given(:ticket_id)

-- name: read_budget
-- The pots a plan on the ticket would draw on, and what is left for it; no row means no limit.
select pot_id, branch_code, ends_on, limit_yuan, left_yuan
from budget_of(:ticket_id, :day)

-- name: lock_budget
-- The same, which nobody can change until the plan is written.
select pot_id, branch_code, ends_on, limit_yuan, left_yuan
from lock_budget_of(:ticket_id, :day)

-- name: release_lapsed
-- What closed tickets reserve in these pots for offers that have lapsed is free again.
select release_lapsed_budget(:day, :now, cast(:pot_ids as bigint [])) as movements

-- name: record_plan
-- The offer made to the subscriber; a trigger reserves its cost in the pots.
insert into retention_plans (
    ticket_id, recorded_at, staff_id, strategy, offer_name, offer, offer_reason, cost_yuan, valid_until, note
)
values (
    :ticket_id, :now, :staff_id, :strategy, :offer_name, :offer, :offer_reason, :cost_yuan, :valid_until, :note
)
returning plan_id

-- name: find_current_plan
-- The newest plan of a ticket, and whether it was carried out.
select
    p.plan_id, p.strategy, p.offer_name, p.offer, p.cost_yuan, p.valid_until,
    (
        select d.order_number from plan_processings as d
        where d.plan_id = p.plan_id and d.result = 'done'
    ) as order_number
from retention_plans as p
where p.ticket_id = :ticket_id
order by p.plan_id desc
limit 1

-- name: find_order
-- Whether an order number stands already, on a ticket the person may see or not.
select order_number_is_taken(:order_number) as is_taken

-- name: reserved_for_plan
-- The money the plan holds now, and what it would have to reserve anew.
select
    m.pot_id,
    max(m.amount_yuan) as amount_yuan,
    bool_or(o.plan_id is not null) as is_open,
    max(p.limit_yuan - p.reserved_yuan - p.committed_yuan) as left_yuan
from budget_movements as m
inner join budget_pots as p on m.pot_id = p.pot_id
left join budget_open as o on m.plan_id = o.plan_id and m.pot_id = o.pot_id
where m.plan_id = :plan_id
group by m.pot_id
order by m.pot_id

-- name: record_processing
-- How carrying out the plan went; a trigger commits or releases its money.
insert into plan_processings (plan_id, ticket_id, result, order_number, processed_at, staff_id, note)
values (:plan_id, :ticket_id, :result, :order_number, :now, :staff_id, :note)
