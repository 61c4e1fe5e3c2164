-- The work on a ticket is drawn from its campaign: clocks of any name that say what meets them, a checklist, endings by
-- which the customer was won.
set local role churn_owner;

-- ---------------------------------------------------------------- clocks

alter table ticket_clocks add column stops text;
update ticket_clocks set stops = case clock when 'first_contact' then 'contact' else 'plan' end;
alter table ticket_clocks
alter stops set not null,
add constraint ticket_clocks_stops_check
check (stops in ('contact', 'reached', 'survey', 'checklist', 'plan', 'closed'));
comment on column ticket_clocks.clock is 'its name in the file of the campaign';
comment on column ticket_clocks.stops is
'what meets it, as it was when the clock was started: the first attempt, the first talk, what is recorded, the closing';

-- A queue is in order of what is due next; the first attempt presses where nothing else does.
create or replace function running_due_at(of_ticket bigint) returns timestamptz language sql stable
set search_path = public, pg_temp
return (
    select coalesce(min(k.due_at) filter (where k.stops <> 'contact'), min(k.due_at))
    from ticket_clocks as k
    where k.ticket_id = of_ticket and k.met_at is null and k.voided_at is null
);
comment on function running_due_at is
'the earliest deadline of the running clocks of a ticket, of the first attempt only where no other runs';
comment on column tickets.due_at is
'the earliest deadline of the running clocks, of the first attempt only where no other runs, null when none does; kept by '
'the clocks, so that the queue is read in its order';

create or replace function start_due_at() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    update tickets as t set due_at = running_due_at(t.ticket_id)
    where
        t.ticket_id in (select c.ticket_id from changed_clocks as c)
        and t.due_at is distinct from running_due_at(t.ticket_id);
    return null;
end
$$;
create or replace function move_due_at() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    -- the watcher's stamps leave the tickets alone
    update tickets as t set due_at = running_due_at(t.ticket_id)
    where
        t.ticket_id in (
            select c.ticket_id from changed_clocks as c
            inner join former_clocks as f on c.ticket_id = f.ticket_id and c.clock = f.clock and c.round = f.round
            where (c.due_at, c.met_at, c.voided_at) is distinct from (f.due_at, f.met_at, f.voided_at)
        )
        and t.due_at is distinct from running_due_at(t.ticket_id);
    return null;
end
$$;

-- ---------------------------------------------------------------- the checklist

create table ticket_checks (
    ticket_id bigint not null references tickets,
    item text not null,
    checked_at timestamptz not null,
    staff_id bigint not null references staff,
    primary key (ticket_id, item)
);
comment on table ticket_checks is 'one row per item of its campaign''s checklist that is ticked off on a ticket';
alter table ticket_checks enable row level security;
alter table ticket_checks force row level security;
create policy loop_works on ticket_checks to churn_loop, churn_owner using (true) with check (true);
create policy desk_works on ticket_checks to churn_desk
using (exists (select 1 from tickets where tickets.ticket_id = ticket_checks.ticket_id))
with check (exists (select 1 from tickets where tickets.ticket_id = ticket_checks.ticket_id));
create policy desk_signs on ticket_checks as restrictive for insert to churn_desk
with check (staff_id = desk_staff_id());
grant select, insert on ticket_checks to churn_loop;
grant select, insert on ticket_checks to churn_desk;

-- ---------------------------------------------------------------- endings

alter table tickets add column is_willing boolean
constraint tickets_willing_when_ended check (is_willing is null or outcome is not null);
-- checked at once: no later change of the table waits for it
set constraints tickets_agree_with_events immediate;
update tickets set is_willing = (outcome = 'retained') where state = 'closed';
set constraints tickets_agree_with_events deferred;
grant update (is_willing) on tickets to churn_desk;
comment on column tickets.is_willing is
'whether the customer was won, by what the campaign said of the outcome at closing; null while it is not closed';

-- The willing and those who consider may still be processed; their money is free when the offer has lapsed.
create function ends_plans(state text, outcome text, is_willing boolean, is_recalled boolean) returns boolean
language sql immutable
return state in ('cancelled', 'expired') or is_recalled
or (state = 'closed' and outcome <> 'considering' and not coalesce(is_willing, false));
comment on function ends_plans(text, text, boolean, boolean) is
'whether a ticket has ended so that its plan will hardly be processed any more';
create or replace function release_budget_of_ended() returns trigger language plpgsql security definer set search_path = public, pg_temp
set plan_cache_mode = force_custom_plan as $$
begin
    if not exists (select 1 from budget_pots)
        or not exists (select 1 from changed_tickets where ends_plans(state, outcome, is_willing, is_recalled)) then
        return null;
    end if;
    perform 1 from budget_pots
    where pot_id in (
        select o.pot_id from changed_tickets as e
        inner join budget_open as o on e.ticket_id = o.ticket_id
        where ends_plans(e.state, e.outcome, e.is_willing, e.is_recalled)
    )
    order by pot_id for update;
    insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
    select o.plan_id, o.pot_id, 'released', o.amount_yuan, 'ended', coalesce(e.closed_at, e.dispatched_at)
    from changed_tickets as e
    inner join budget_open as o on e.ticket_id = o.ticket_id
    where ends_plans(e.state, e.outcome, e.is_willing, e.is_recalled);
    return null;
end
$$;
drop function ends_plans(text, text, boolean);

-- ---------------------------------------------------------------- a ticket outlives its campaign's file

-- Where the file is wrong or gone, the work goes on by the one its cycle was opened with; the desk sees that file alone,
-- and no salt of a draw, as files of before had.
create function campaign_file_of(of_campaign text, of_cycle text) returns text
language sql stable security definer set search_path = public, pg_temp
return (
    select regexp_replace(file.content, '(\msalt:\s*)[^\s,}]+', '\1-', 'g')
    from cycles as c
    inner join configurations as k on c.config_hash = k.config_hash
    cross join jsonb_each_text(k.texts) as file (name, content)
    where c.campaign = of_campaign and c.cycle = of_cycle
    and file.name ~ '^campaigns/' and split_part(reverse(split_part(reverse(file.name), '/', 1)), '.', 1) = of_campaign
    limit 1
);
comment on function campaign_file_of is 'the file of its campaign a cycle was opened with, as YAML without salts; null without any';
revoke execute on function campaign_file_of from public;
grant execute on function campaign_file_of to churn_loop, churn_desk;

reset role;
