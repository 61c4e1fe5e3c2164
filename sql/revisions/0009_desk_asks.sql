-- What the desk asks of a ticket's money and offers it is told of tickets the person sees. The functions look past
-- row-level security, so they ask themselves; the loop is told of any.
set local role churn_owner;

create function is_asked_by_desk() returns boolean language sql stable
return case current_setting('role') when 'none' then session_user::text else current_setting('role') end = 'churn_desk';
comment on function is_asked_by_desk is
'whether the session works as churn_desk, also within functions that run with the rights of their owner';

create or replace function budget_of(of_ticket bigint, on_day date) returns table (
    pot_id bigint, branch_code text, ends_on date, limit_yuan numeric, left_yuan numeric
) language sql stable security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    select
        p.pot_id, p.branch_code, p.ends_on, p.limit_yuan,
        p.limit_yuan - p.reserved_yuan - p.committed_yuan + coalesce((
            select sum(o.amount_yuan) from budget_open as o
            where o.pot_id = p.pot_id and o.ticket_id = t.ticket_id
        ), 0)
    from tickets as t
    inner join budget_pots as p
        on t.campaign = p.campaign and on_day between p.starts_on and p.ends_on
        and (
            p.branch_code is null or p.branch_code = t.branch_code
            or p.branch_code = any(branch_line(t.branch_code))
        )
    where t.ticket_id = of_ticket and (not is_asked_by_desk() or desk_sees(t.team, t.assignee_id))
    order by p.pot_id
$$;

create or replace function lock_budget_of(of_ticket bigint, on_day date) returns table (
    pot_id bigint, branch_code text, ends_on date, limit_yuan numeric, left_yuan numeric
) language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    if is_asked_by_desk() and not exists (
        select 1 from tickets as t where t.ticket_id = of_ticket and desk_sees(t.team, t.assignee_id)
    ) then
        return; -- nobody holds the pots of a ticket they do not see
    end if;
    perform 1 from budget_pots as p
    where
        p.pot_id in (select b.pot_id from budget_of(of_ticket, on_day) as b)
        or p.pot_id in (select o.pot_id from budget_open as o where o.ticket_id = of_ticket)
    order by p.pot_id for update;
    return query select * from budget_of(of_ticket, on_day);
end
$$;

create or replace function offers_given(of_ticket bigint) returns table (offer_name text, given_at timestamptz)
language sql stable security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    select p.offer_name, max(d.processed_at)
    from tickets as mine
    inner join tickets as t on mine.subscriber_id = t.subscriber_id
    inner join retention_plans as p on t.ticket_id = p.ticket_id
    inner join plan_processings as d on p.plan_id = d.plan_id and d.result = 'done'
    where
        mine.ticket_id = of_ticket and p.offer_name is not null
        and (not is_asked_by_desk() or desk_sees(mine.team, mine.assignee_id))
    group by p.offer_name
$$;

reset role;
