-- A switch that stops all outbound of a region, team, campaign or everything: nothing is released, called or exported,
-- and clocks rest.
set local role churn_owner;

create table outbound_stops (
    stop_id bigint generated always as identity primary key,
    scope text not null check (scope in ('all', 'campaign', 'team', 'region')),
    what text,
    because text not null check (btrim(because) <> ''),
    stopped_at timestamptz not null,
    stopped_by text not null,
    lifted_at timestamptz,
    lifted_by text,
    rested_at timestamptz,
    constraint outbound_stops_name_what_they_stop check ((scope = 'all') = (what is null)),
    constraint outbound_stops_are_lifted_later check (lifted_at >= stopped_at),
    constraint outbound_stops_are_lifted_by_somebody check ((lifted_at is null) = (lifted_by is null)),
    constraint outbound_stops_rest_once_lifted check (rested_at is null or lifted_at is not null)
);
create unique index outbound_stops_once on outbound_stops (scope, coalesce(what, '')) where lifted_at is null;
create index outbound_stops_standing on outbound_stops (stop_id) where rested_at is null;
comment on table outbound_stops is
'one row per stop of all outbound of a region, team, campaign or everything; kept for good, lifted by somebody';
comment on column outbound_stops.rested_at is 'when the deadlines it held up were moved; until then their clocks rest';

create function stop_covers(
    of_scope text, of_what text, of_campaign text, of_team text, of_region text, of_branch text
) returns boolean
language sql stable set search_path = public, pg_temp
return case of_scope
    when 'all' then true
    when 'campaign' then coalesce(of_what = of_campaign, false)
    when 'team' then coalesce(of_what = of_team, false)
    when 'region' then coalesce(
        of_what = coalesce(of_region, (select b.region_code from branches as b where b.branch_code = of_branch)), false
    )
end;
comment on function stop_covers is
'whether a stop of a scope covers who is of a campaign, team, region and branch; a branch tells a region that is null';

create function is_stopped(of_campaign text, of_team text, of_region text, of_branch text) returns boolean
language sql stable set search_path = public, pg_temp
return exists (
    select 1 from outbound_stops as s
    where s.lifted_at is null and stop_covers(s.scope, s.what, of_campaign, of_team, of_region, of_branch)
);
comment on function is_stopped is 'whether a stop stands now that covers a campaign, team, region or branch; null is of none';

create function rests_clock(of_ticket bigint, due timestamptz) returns boolean
language sql stable set search_path = public, pg_temp
return exists (
    select 1
    from outbound_stops as s
    inner join tickets as t on of_ticket = t.ticket_id
    where
        s.rested_at is null and due >= s.stopped_at
        and stop_covers(s.scope, s.what, t.campaign, t.team, t.region_code, t.branch_code)
);
comment on function rests_clock is
'whether a clock of a ticket due then rests under a stop, or under one lifted whose deadlines are still to be moved';

-- Leads stop their own team, managers anything; a lead lifts what leads of the team stopped, and nothing else.
create function stop_outbound(of_scope text, of_what text, said text, at timestamptz) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me staff;
    made bigint;
begin
    select * into me from staff as s where s.staff_id = desk_staff_id() and s.is_active;
    if me.role is distinct from 'manager' and not coalesce(
        me.role = 'lead' and of_scope = 'team' and of_what = me.team, false
    ) then
        raise exception 'A lead stops their own team, a manager anything.' using errcode = 'insufficient_privilege';
    end if;
    insert into outbound_stops (scope, what, because, stopped_at, stopped_by)
    values (of_scope, of_what, said, at, me.staff_code)
    on conflict (scope, coalesce(what, '')) where lifted_at is null do nothing
    returning stop_id into made;
    if made is not null then
        insert into audit_log (happened_at, actor, action, subject, details)
        values (
            at, me.staff_code, 'stop_outbound', concat_ws(' ', of_scope, of_what), jsonb_build_object('because', said)
        );
    end if;
    return made;
end
$$;
comment on function stop_outbound is
'stops outbound in the name of the lead or manager who works, audited; null when such a stop stands already';

create function lift_stop(of_stop bigint, at timestamptz) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me staff;
    one outbound_stops;
begin
    select * into me from staff as s where s.staff_id = desk_staff_id() and s.is_active;
    update outbound_stops as s
    set lifted_at = greatest(at, s.stopped_at), lifted_by = me.staff_code
    where
        s.stop_id = of_stop and s.lifted_at is null
        and (
            me.role = 'manager'
            or (
                me.role = 'lead' and s.scope = 'team' and s.what = me.team
                and exists (
                    select 1 from staff as by
                    where by.staff_code = s.stopped_by and by.role = 'lead' and by.team = me.team
                )
            )
        )
    returning * into one;
    if one.stop_id is null then
        return null;
    end if;
    insert into audit_log (happened_at, actor, action, subject, details)
    values (
        at, me.staff_code, 'lift_stop', concat_ws(' ', one.scope, one.what), jsonb_build_object('stop', one.stop_id)
    );
    return one.stop_id;
end
$$;
comment on function lift_stop is
'lifts a stop in the name of the lead or manager who works, audited; null when it is lifted already or not theirs';

create or replace function phone_of_use(of_use bigint, at timestamptz, shown interval) returns text
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select p.msisdn
    from desk_uses as u
    inner join tickets as t on u.ticket_id = t.ticket_id
    inner join ticket_phones as p on t.ticket_id = p.ticket_id
    where
        u.use_id = of_use and u.staff_id = desk_staff_id() and u.used_at >= at - shown
        and t.state in ('assigned', 'in_progress', 'paused') and t.frozen_at is null
        and desk_sees(t.team, t.assignee_id)
        and standing_limit(t.subscriber_id, t.customer_key, cast(at at time zone 'Asia/Shanghai' as date)) is null
        and not is_stopped(t.campaign, t.team, t.region_code, t.branch_code);
end;

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
        and standing_limit(t.subscriber_id, t.customer_key, cast(at at time zone 'Asia/Shanghai' as date)) is null
        and not is_stopped(t.campaign, t.team, t.region_code, t.branch_code);
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

grant select, insert on outbound_stops to churn_loop;
grant update (lifted_at, lifted_by, rested_at) on outbound_stops to churn_loop;
grant select on outbound_stops to churn_desk;
revoke execute on function stop_covers, is_stopped, rests_clock, stop_outbound, lift_stop from public;
grant execute on function stop_covers, is_stopped, rests_clock to churn_loop, churn_desk;
grant execute on function stop_outbound, lift_stop to churn_desk;

reset role;
