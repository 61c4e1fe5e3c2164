-- A number that went to somebody new: the former holder's refusals lapse, by the number alone.
set local role churn_owner;

create table new_holders (
    subscriber_id text primary key,
    left_on date not null,
    joined_on date not null check (joined_on >= left_on)
);
comment on table new_holders is
'one row per number that went to somebody new: what was said of it up to left_on was said by or of a former holder';
grant select, insert, update, delete on new_holders to churn_loop;

alter table refusals add awaits_lead boolean not null default false;
create index refusals_waiting on refusals (refusal_id) where awaits_lead;
comment on column refusals.awaits_lead is
'it bars like any other, but tickets of other teams than that of who heard it end only when a lead of theirs confirms it';

-- Every place that asks who may be contacted reads this view. What was said on a number that went to somebody new
-- holds on for the customer who said it; without a customer the key is the number itself, and goes with it.
create view limits_in_force as
select
    l.subscriber_id,
    l.customer_key,
    l.kind,
    array_position(array['refused', 'red_list', 'do_not_disturb', 'contacted_elsewhere'], l.kind) as gravity,
    l.valid_from as said_on,
    l.valid_from,
    case when l.kind <> 'refused' then l.valid_to end as valid_to,
    n.subscriber_id is null as holds_for_number,
    n.subscriber_id is null or l.customer_key <> l.subscriber_id as holds_for_customer,
    false as awaits_lead
from standing_limits as l
left join new_holders as n on l.subscriber_id = n.subscriber_id and l.valid_from <= n.left_on
union all
select
    r.subscriber_id,
    r.customer_key,
    'refused',
    1,
    cast(r.refused_at at time zone 'Asia/Shanghai' as date),
    '-infinity', -- what a person was told counts whenever it was told
    null,
    n.subscriber_id is null,
    n.subscriber_id is null or r.customer_key <> r.subscriber_id,
    r.awaits_lead
from refusals as r
left join new_holders as n
    on r.subscriber_id = n.subscriber_id and cast(r.refused_at at time zone 'Asia/Shanghai' as date) <= n.left_on;
comment on view limits_in_force is
'one row per limit of contact, of the feed or told at the desk, with whom it holds for and when; a refusal never ends';
grant select on limits_in_force to churn_loop;

create or replace function standing_limit(whose text, customer text, on_day date) returns text
language sql stable set search_path = public, pg_temp
return (
    select stands.kind
    from (
        -- by number and by customer apart: each has its index
        select kind, gravity, valid_from, valid_to from limits_in_force
        where subscriber_id = whose and holds_for_number
        union all
        select kind, gravity, valid_from, valid_to from limits_in_force
        where customer_key = customer and holds_for_customer
    ) as stands
    where stands.valid_from <= on_day and (stands.valid_to is null or stands.valid_to >= on_day)
    order by stands.gravity
    limit 1
);
comment on function standing_limit is
'the gravest limit of contact that stands on a day for a number or any number of its customer; a refusal never ends';
revoke execute on function standing_limit from public;
grant execute on function standing_limit to churn_loop;

-- ---------------------------------------------------------------- the desk asks before anybody is called

create function limit_of_ticket(of_ticket bigint, on_day date) returns text
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select standing_limit(t.subscriber_id, t.customer_key, on_day)
    from tickets as t
    where t.ticket_id = of_ticket and desk_sees(t.team, t.assignee_id);
end;
comment on function limit_of_ticket is
'the limit of contact that stands on a day for the customer of a ticket the person sees; null without one';
revoke execute on function limit_of_ticket from public;
grant execute on function limit_of_ticket to churn_desk, churn_loop;

create or replace function use_phone(of_kind text, of_ticket bigint, at timestamptz, at_most integer)
returns table (msisdn text, is_over boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if of_kind not in ('reveal', 'call') then
        raise exception 'A number is revealed or called, not ''%''.', of_kind using errcode = 'check_violation';
    end if;
    select p.msisdn into msisdn
    from ticket_phones as p
    inner join tickets as t on p.ticket_id = t.ticket_id
    where
        t.ticket_id = of_ticket and t.state in ('assigned', 'in_progress', 'paused') and t.frozen_at is null
        and desk_sees(t.team, t.assignee_id)
        and standing_limit(t.subscriber_id, t.customer_key, cast(at at time zone 'Asia/Shanghai' as date)) is null;
    if not found then
        return; -- no number to give, so no use
    end if;
    is_over := not record_use(of_kind, of_ticket, at, at_most);
    if is_over then
        msisdn := null;
    end if;
    return next;
end
$$;
comment on function use_phone is
'the number of a ticket in work that may be called and the person sees, its use recorded by the same call; beyond at_most a day no number';

reset role;
