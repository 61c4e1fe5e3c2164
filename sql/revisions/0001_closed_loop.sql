-- The closed loop: cycles, warnings, arms, assignments, tickets and their clocks, people, outcomes.
-- Roles belong to the server, so they may already exist from another database on it.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['churn_owner', 'churn_loop', 'churn_desk'] loop
        begin
            if not exists (select 1 from pg_roles where rolname = wanted) then
                execute format('create role %I', wanted);
            end if;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server made it a moment ago
        end;
    end loop;
end
$$;

grant create, usage on schema public to churn_owner;
grant usage on schema public to churn_loop, churn_desk;
do $$
declare
    granted text;
begin
    foreach granted in array array['churn_owner', 'churn_loop', 'churn_desk'] loop
        if not pg_has_role(current_user, granted, 'set') then
            execute format('grant %I to current_user', granted);
        end if;
    end loop;
end
$$;
set local role churn_owner;

-- ---------------------------------------------------------------- configuration and cycles

create table configurations (
    config_hash text primary key,
    texts jsonb not null,
    first_used_at timestamptz not null
);
comment on table configurations is 'one row per configuration ever used: the text of every file, by hash';

create table cycles (
    campaign text not null,
    cycle text not null,
    month text check (month ~ '^[12]\d{3}-(0[1-9]|1[0-2])$'),
    as_of timestamptz not null,
    config_hash text not null references configurations,
    opened_at timestamptz not null,
    fixed_at timestamptz,
    fixed_facts jsonb,
    dispatch_summary jsonb,
    primary key (campaign, cycle),
    check ((fixed_at is null) = (fixed_facts is null))
);
comment on table cycles is
'one row per campaign and cycle: what it may know (as_of), its configuration, and since its first dispatch what fixed it';

create table cycle_revisions (
    campaign text not null,
    cycle text not null,
    revision integer not null check (revision >= 0),
    as_of timestamptz not null,
    config_hash text not null references configurations,
    opened_at timestamptz not null,
    comparison jsonb,
    primary key (campaign, cycle, revision),
    foreign key (campaign, cycle) references cycles
);
create unique index cycle_revisions_knowledge on cycle_revisions (campaign, cycle, as_of, config_hash)
where revision > 0;
comment on table cycle_revisions is
'one row per cycle and revision: 0 is what people act on, later ones are re-runs after the fix, for comparison';

create table stage_runs (
    stage_run_id bigint generated always as identity primary key,
    campaign text not null,
    cycle text not null,
    stage text not null,
    finished_at timestamptz not null,
    seconds double precision not null,
    peak_mb double precision not null,
    facts jsonb not null
);
create index stage_runs_by_cycle on stage_runs (campaign, cycle, stage, finished_at);
comment on table stage_runs is 'one row per finished stage of a run: its counts, seconds and peak memory';

-- ---------------------------------------------------------------- collection

create table deliveries (
    delivery_id bigint generated always as identity primary key,
    feed text not null,
    period text not null,
    fingerprint text not null,
    files integer not null,
    rows_read bigint not null,
    rows_accepted bigint not null,
    rows_quarantined bigint not null,
    is_complete boolean not null,
    is_current boolean not null default true,
    run_id text not null,
    collected_at timestamptz not null,
    check (rows_read = rows_accepted + rows_quarantined)
);
create unique index deliveries_current on deliveries (feed, period) where is_current;
comment on table deliveries is 'one row per accepted delivery of a feed and period, reconciled: read = accepted + quarantined';

create table quarantine_summary (
    delivery_id bigint not null references deliveries on delete cascade,
    file text not null,
    column_name text not null,
    reason text not null,
    rows bigint not null check (rows > 0),
    first_line bigint,
    primary key (delivery_id, file, column_name, reason)
);
comment on table quarantine_summary is 'one row per delivery, file, column and reason: how many rows were put aside';

-- ---------------------------------------------------------------- models and warnings

create table models (
    model_version text primary key,
    campaign text not null,
    cluster text not null,
    kind text not null,
    trained_for text not null,
    trained_at timestamptz not null,
    as_of timestamptz not null,
    window_months text [] not null,
    sha256 text not null,
    metrics jsonb not null,
    base_rate double precision not null check (base_rate > 0 and base_rate < 1),
    state text not null check (state in ('candidate', 'champion', 'retired')),
    promoted_at timestamptz
);
create unique index models_one_champion on models (campaign, cluster) where state = 'champion';
comment on table models is 'one row per trained model version; at most one champion per campaign and tenure cluster';

create table warnings (
    campaign text not null,
    cycle text not null,
    revision integer not null,
    subscriber_id text not null,
    customer_key text not null,
    cluster text not null,
    probability double precision check (probability between 0 and 1),
    model_version text not null,
    grade text not null check (grade in ('high', 'mid')),
    tier text not null check (tier in ('priority', 'secondary', 'monitoring')),
    rank integer not null,
    rule_hits text [] not null,
    rule_points double precision not null,
    value_yuan numeric(14, 4),
    region_code text,
    branch_code text,
    tenure_months double precision,
    primary key (campaign, cycle, revision, subscriber_id),
    foreign key (campaign, cycle, revision) references cycle_revisions
);
create index warnings_by_rank on warnings (campaign, cycle, revision, grade, tier, rank);
comment on table warnings is 'one row per subscriber graded high or mid in a cycle and revision';

create function refuse_change_of_fixed_cycle() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from changed_rows
        join cycles using (campaign, cycle)
        where changed_rows.revision = 0 and cycles.fixed_at is not null
    ) then
        raise exception 'The cycle is fixed since its first dispatch; a re-run writes a revision.'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end
$$;
create trigger warnings_insert_before_fix after insert on warnings
referencing new table as changed_rows for each statement execute function refuse_change_of_fixed_cycle();
create trigger warnings_delete_before_fix after delete on warnings
referencing old table as changed_rows for each statement execute function refuse_change_of_fixed_cycle();
create trigger warnings_update_before_fix after update on warnings
referencing old table as changed_rows for each statement execute function refuse_change_of_fixed_cycle();

-- ---------------------------------------------------------------- people and calendar

create table staff (
    staff_id bigint generated always as identity primary key,
    staff_code text not null unique,
    airflow_username text unique,
    name text not null,
    role text not null check (role in ('agent', 'lead', 'manager')),
    team text not null,
    branch_code text,
    skills text [] not null default '{}',
    contacts_per_day integer not null check (contacts_per_day >= 0),
    is_present boolean not null default true,
    is_active boolean not null default true,
    is_simulated boolean not null default false
);
comment on table staff is 'one row per person who works tickets; airflow_username ties the Airflow user to team and capacity';

create table work_days (
    layer text not null,
    date date not null,
    is_working boolean not null,
    name text,
    source text not null,
    primary key (layer, date)
);
comment on table work_days is 'one row per calendar layer and date: whether it is worked, why, and who says so';

-- ---------------------------------------------------------------- dispatch

create table arms (
    campaign text not null,
    epoch text not null,
    customer_key text not null,
    arm text not null check (arm in ('treated', 'held_out')),
    held_out_share double precision not null check (held_out_share >= 0 and held_out_share < 1),
    decided_at timestamptz not null,
    primary key (campaign, epoch, customer_key),
    unique (campaign, epoch, customer_key, arm)
);
comment on table arms is
'one row per customer, campaign and epoch: the arm drawn once; assignments refer to it, so no customer can be in both';

create table subscriber_arms (
    campaign text not null,
    epoch text not null,
    subscriber_id text not null,
    arm text not null check (arm in ('treated', 'held_out')),
    primary key (campaign, epoch, subscriber_id),
    unique (campaign, epoch, subscriber_id, arm)
);
comment on table subscriber_arms is
'one row per assigned subscriber, campaign and epoch: the arm stays though the customer behind the number changes';

create table assignments (
    assignment_id bigint generated always as identity primary key,
    campaign text not null,
    cycle text not null,
    subscriber_id text not null,
    customer_key text not null,
    epoch text not null,
    arm text not null,
    probability_of_assignment double precision not null check (probability_of_assignment > 0 and probability_of_assignment <= 1),
    rank integer not null,
    evidence jsonb not null,
    evidence_sha256 text not null,
    assigned_at timestamptz not null,
    is_recalled boolean not null default false,
    foreign key (campaign, cycle) references cycles,
    foreign key (campaign, epoch, customer_key, arm) references arms (campaign, epoch, customer_key, arm),
    foreign key (campaign, epoch, subscriber_id, arm) references subscriber_arms (campaign, epoch, subscriber_id, arm),
    unique (assignment_id, arm)
);
create unique index assignments_once on assignments (campaign, cycle, subscriber_id) where not is_recalled;
create index assignments_by_subscriber on assignments (subscriber_id, campaign);
comment on table assignments is
'one row per subscriber put into an arm of a cycle, with the evidence frozen as it was at dispatch';

create table tickets (
    ticket_id bigint generated always as identity primary key,
    assignment_id bigint not null unique,
    arm text not null default 'treated' check (arm = 'treated'),
    campaign text not null,
    cycle text not null,
    subscriber_id text not null,
    customer_key text not null,
    state text not null check (
        state in ('waiting', 'assigned', 'in_progress', 'paused', 'closed', 'cancelled', 'expired')
    ),
    version integer not null default 1,
    team text not null,
    branch_code text,
    region_code text,
    grade text not null,
    tier text not null,
    rank integer not null,
    value_yuan numeric(14, 4),
    assignee_id bigint references staff,
    dispatched_at timestamptz not null,
    expected_on date not null,
    released_at timestamptz,
    paused_until date,
    outcome text,
    closed_at timestamptz,
    is_recalled boolean not null default false,
    -- a held-out assignment can never carry a ticket
    foreign key (assignment_id, arm) references assignments (assignment_id, arm),
    check ((state = 'paused') = (paused_until is not null)),
    check ((state in ('closed', 'cancelled', 'expired')) = (closed_at is not null)),
    check (state <> 'closed' or outcome is not null),
    check (state not in ('assigned', 'in_progress', 'paused') or released_at is not null)
);
create unique index tickets_once on tickets (campaign, cycle, subscriber_id) where not is_recalled;
create unique index tickets_one_unfinished on tickets (campaign, customer_key)
where state not in ('closed', 'cancelled', 'expired');
create unique index tickets_one_unfinished_number on tickets (campaign, subscriber_id)
where state not in ('closed', 'cancelled', 'expired');
create index tickets_waiting on tickets (team, rank) where state = 'waiting';
create index tickets_by_assignee on tickets (assignee_id, state);
create index tickets_by_subscriber on tickets (subscriber_id);
comment on table tickets is
'one row per work order: one per subscriber, campaign and cycle, and at most one unfinished per customer and campaign';

create table ticket_events (
    event_id bigint generated always as identity primary key,
    ticket_id bigint not null references tickets,
    version integer not null,
    kind text not null,
    from_state text,
    to_state text not null,
    staff_id bigint references staff,
    actor text not null,
    occurred_at timestamptz not null,
    details jsonb not null default '{}',
    unique (ticket_id, version),
    unique (ticket_id, version, to_state)
);
comment on table ticket_events is 'one row per change of a ticket, append-only: who, when, what, from, to';
-- A ticket's state and version are those of its last event, or the transaction does not commit.
alter table tickets add constraint tickets_agree_with_events
foreign key (ticket_id, version, state) references ticket_events (ticket_id, version, to_state)
deferrable initially deferred;

create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused.', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end
$$;
create trigger ticket_events_append_only before update or delete or truncate on ticket_events
for each statement execute function refuse_rewriting_history();

create table ticket_clocks (
    ticket_id bigint not null references tickets,
    clock text not null check (clock in ('first_contact', 'plan')),
    round integer not null default 1,
    started_at timestamptz not null,
    warn_at timestamptz not null,
    due_at timestamptz not null,
    is_provisional boolean not null,
    explanation jsonb not null,
    warned_at timestamptz,
    met_at timestamptz,
    voided_at timestamptz,
    breached_at timestamptz,
    noticed_at timestamptz,
    escalated_to text check (escalated_to in ('assignee', 'lead', 'branch_manager')),
    primary key (ticket_id, clock, round),
    check (met_at is null or voided_at is null),
    check ((breached_at is null) = (noticed_at is null)),
    check (breached_at is null or noticed_at >= breached_at)
);
create index ticket_clocks_to_warn on ticket_clocks (warn_at)
where met_at is null and voided_at is null and warned_at is null;
create index ticket_clocks_to_breach on ticket_clocks (due_at)
where met_at is null and voided_at is null and breached_at is null;
create index ticket_clocks_to_escalate on ticket_clocks (breached_at)
where met_at is null and voided_at is null and breached_at is not null;
comment on table ticket_clocks is
'one row per service clock of a ticket and round: its stored deadline, why it is that one, and its verdict';

create table ticket_phones (
    ticket_id bigint primary key references tickets,
    msisdn text not null
);
comment on table ticket_phones is 'one row per ticket with the number to call; written by dispatch, never read by the desk directly';

create table dispatch_decisions (
    campaign text not null,
    cycle text not null,
    subscriber_id text not null,
    customer_key text not null,
    rank integer not null,
    decision text not null check (decision in ('treated', 'held_out', 'not_reached', 'ineligible')),
    reason text,
    linked_ticket_id bigint references tickets,
    decided_at timestamptz not null,
    primary key (campaign, cycle, subscriber_id),
    foreign key (campaign, cycle) references cycles,
    check ((decision = 'ineligible') = (reason is not null))
);
comment on table dispatch_decisions is
'one row per high-priority warning of a fixed cycle: what dispatch decided, and why when it left somebody out';

-- ---------------------------------------------------------------- retention work

create table contact_attempts (
    attempt_id bigint generated always as identity primary key,
    ticket_id bigint not null references tickets,
    attempted_at timestamptz not null,
    channel text not null check (channel in ('call', 'sms', 'app', 'visit')),
    result text not null check (result in ('reached', 'no_answer', 'refused', 'call_back')),
    call_back_on date,
    note text,
    staff_id bigint not null references staff,
    check ((result = 'call_back') = (call_back_on is not null))
);
create index contact_attempts_by_ticket on contact_attempts (ticket_id, attempted_at);
comment on table contact_attempts is 'one row per attempt of a person to contact the subscriber of a ticket';

create table needs_surveys (
    survey_id bigint generated always as identity primary key,
    ticket_id bigint not null references tickets,
    recorded_at timestamptz not null,
    staff_id bigint not null references staff,
    needs text [] not null check (cardinality(needs) > 0),
    note text
);
create index needs_surveys_by_ticket on needs_surveys (ticket_id);
comment on table needs_surveys is 'one row per needs survey: what the subscriber said is missing or wrong';

create table retention_plans (
    plan_id bigint generated always as identity primary key,
    ticket_id bigint not null references tickets,
    recorded_at timestamptz not null,
    staff_id bigint not null references staff,
    strategy text not null,
    offer text not null,
    offer_reason text not null,
    cost_yuan numeric(14, 4) not null check (cost_yuan >= 0),
    valid_until date,
    note text
);
create index retention_plans_by_ticket on retention_plans (ticket_id);
comment on table retention_plans is 'one row per retention plan offered on a ticket';

-- ---------------------------------------------------------------- feedback

create table outcomes (
    assignment_id bigint primary key references assignments,
    month_observed text not null,
    has_churned boolean not null,
    churned_on date,
    reason text,
    observed_at timestamptz not null,
    check (has_churned = (churned_on is not null))
);
comment on table outcomes is 'one row per assignment whose horizon is complete: what really happened';

create table evaluations (
    campaign text not null,
    cycle text not null,
    revision integer not null,
    slice text not null,
    slice_value text not null,
    metric text not null,
    value double precision,
    subscribers bigint not null,
    evaluated_at timestamptz not null,
    primary key (campaign, cycle, revision, slice, slice_value, metric),
    foreign key (campaign, cycle, revision) references cycle_revisions
);
comment on table evaluations is 'one row per figure of a completed cycle: by grade, tier, cluster and arm';

-- ---------------------------------------------------------------- notices, heartbeat, audit

create table notices (
    notice_id bigint generated always as identity primary key,
    dedupe_key text not null unique,
    kind text not null,
    audience text not null,
    staff_id bigint references staff,
    ticket_id bigint references tickets,
    details jsonb not null,
    created_at timestamptz not null,
    delivered_at timestamptz
);
create index notices_to_deliver on notices (created_at) where delivered_at is null;
comment on table notices is 'one row per notice to a person, written in the transaction that caused it; its key keeps it single';

create table heartbeats (
    name text primary key,
    ticked_at timestamptz not null,
    facts jsonb not null
);
comment on table heartbeats is 'one row per watcher: when it last finished';

create table audit_log (
    audit_id bigint generated always as identity primary key,
    happened_at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    details jsonb not null
);
create trigger audit_log_append_only before update or delete or truncate on audit_log
for each statement execute function refuse_rewriting_history();
comment on table audit_log is 'one row per action worth asking about later, append-only';

-- ---------------------------------------------------------------- rights

do $$
declare
    own text;
begin
    for own in select tablename from pg_tables where schemaname = 'public' and tableowner = 'churn_owner' loop
        execute format('grant select, insert, update, delete on %I to churn_loop', own);
    end loop;
end
$$;
revoke update, delete on ticket_events, audit_log from churn_loop;

grant select on
staff, work_days, cycles, cycle_revisions, assignments, tickets, ticket_events, ticket_clocks, contact_attempts,
needs_surveys, retention_plans, outcomes, evaluations
to churn_desk;
grant update (state, version, assignee_id, paused_until, outcome, closed_at) on tickets to churn_desk;
grant insert on ticket_events, ticket_clocks, contact_attempts, needs_surveys, retention_plans, audit_log to churn_desk;
grant update (
    warn_at, due_at, is_provisional, explanation, warned_at, met_at, voided_at, breached_at, noticed_at
) on ticket_clocks to churn_desk;

create function desk_staff_id() returns bigint language sql stable
return nullif(current_setting('app.staff_id', true), '')::bigint;
comment on function desk_staff_id is 'who works in this transaction, as told by set_config(app.staff_id, ..., true); null when nobody said';

create function desk_sees(ticket_team text, ticket_assignee bigint) returns boolean language sql stable
return exists (
    select 1 from staff
    where
        staff.staff_id = desk_staff_id() and staff.is_active
        and (
            staff.role = 'manager'
            or (staff.role = 'lead' and staff.team = ticket_team)
            or (staff.role = 'agent' and (
                staff.staff_id = ticket_assignee
                or (ticket_assignee is null and staff.team = ticket_team)
            ))
        )
);
comment on function desk_sees is
'an agent sees own tickets and the unassigned ones of the team, a lead the team''s, a manager all';

do $$
declare
    walled text;
begin
    foreach walled in array array[
        'tickets', 'assignments', 'ticket_events', 'ticket_clocks', 'contact_attempts', 'needs_surveys',
        'retention_plans', 'outcomes', 'ticket_phones'
    ] loop
        execute format('alter table %I enable row level security', walled);
        execute format('alter table %I force row level security', walled);
        execute format('create policy loop_works on %I to churn_loop, churn_owner using (true) with check (true)', walled);
    end loop;
    -- whatever hangs on a ticket is seen by those who see the ticket (the inner query is walled too)
    foreach walled in array array[
        'ticket_events', 'ticket_clocks', 'contact_attempts', 'needs_surveys', 'retention_plans'
    ] loop
        execute format(
            'create policy desk_works on %1$I to churn_desk
             using (exists (select 1 from tickets where tickets.ticket_id = %1$I.ticket_id))
             with check (exists (select 1 from tickets where tickets.ticket_id = %1$I.ticket_id))', walled
        );
    end loop;
    foreach walled in array array['assignments', 'outcomes'] loop
        execute format(
            'create policy desk_reads on %1$I for select to churn_desk
             using (exists (select 1 from tickets where tickets.assignment_id = %1$I.assignment_id))', walled
        );
    end loop;
end
$$;
create policy desk_works on tickets to churn_desk
using (desk_sees(team, assignee_id)) with check (desk_staff_id() is not null);

reset role;
grant select on churn_revision to churn_loop, churn_desk;
