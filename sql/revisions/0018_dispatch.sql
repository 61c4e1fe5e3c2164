-- Dispatch for many campaigns: what a dispatch must know of the others stands in the database, so that it needs none of
-- their files.
set local role churn_owner;

-- ---------------------------------------------------------------- cycles

alter table cycles add beside_others boolean not null default false;
grant update (beside_others) on cycles to churn_loop;
comment on column cycles.beside_others is
'whether another campaign may have a calling ticket of the same customer, if that one allows it, too';

-- ---------------------------------------------------------------- waiting tickets

alter table tickets add expires_at timestamptz;
-- until now a ticket expired when the next monthly cycle was dispatched, at least 28 days later
update tickets set expires_at = dispatched_at + interval '27 days' where state = 'waiting';
create index tickets_waiting_until on tickets (expires_at) where state = 'waiting';
comment on column tickets.expires_at is 'still waiting then it is stale; null for what was handed out before there were ages';

-- ---------------------------------------------------------------- how often a customer is taken up

create view taken_up as
select
    a.customer_key,
    a.subscriber_id,
    a.campaign,
    a.cycle,
    'ticket' as means,
    a.arm,
    a.measure,
    a.epoch,
    a.assigned_at as taken_up_at
from assignments as a
where not a.is_recalled
union all
select
    i.customer_key,
    i.subscriber_id,
    i.campaign,
    i.cycle,
    'message',
    case i.decision when 'listed' then 'treated' else 'held_out' end,
    null,
    null,
    i.listed_at
from outreach_items as i
where i.decision in ('listed', 'held_out');
comment on view taken_up is
'one row per time a campaign took a customer up, by ticket or message; who was held out counts alike, so that arms stay alike';
grant select on taken_up to churn_loop;

-- ---------------------------------------------------------------- the desk

-- It may lie behind the walls of another team: of it no more is told than its number and campaign.
create function ticket_in_the_way(of_ticket bigint) returns table (ticket_id bigint, campaign text)
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select other.ticket_id, other.campaign
    from tickets as one
    inner join tickets as other
        on
            one.ticket_id <> other.ticket_id
            and (one.customer_key = other.customer_key or one.subscriber_id = other.subscriber_id)
    where
        one.ticket_id = of_ticket and desk_sees(one.team, one.assignee_id)
        and other.state not in ('closed', 'cancelled', 'expired')
        and (one.campaign = other.campaign or not (one.beside and other.beside))
    order by other.ticket_id
    limit 1;
end;
comment on function ticket_in_the_way is
'the unfinished ticket of the same customer or number, in any campaign and team, beside which this one may not be worked';
revoke all on function ticket_in_the_way(bigint) from public;
grant execute on function ticket_in_the_way(bigint) to churn_desk;

reset role;
