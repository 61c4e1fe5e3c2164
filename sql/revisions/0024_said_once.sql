-- What a finished ticket is, and what a stopped clock is stamped with, is said in one place. The functions are parsed
-- when they are made and name no table: the planner puts them into the statement, so partial indexes serve as before.
set local role churn_owner;

create function is_finished(state text) returns boolean
language sql immutable parallel safe
return state in ('closed', 'cancelled', 'expired');
comment on function is_finished is 'whether a ticket in this state is over: nothing is done to it but reopening and its plan';

create function breached_when_stopped(due_at timestamptz, stopped_at timestamptz) returns timestamptz
language sql immutable parallel safe
return case when due_at < stopped_at then due_at end;
comment on function breached_when_stopped is
'when a clock was breached that is met or voided at `stopped_at`: its deadline, or null in time';

create function noticed_when_stopped(
    due_at timestamptz, noticed_at timestamptz, stopped_at timestamptz
) returns timestamptz
language sql immutable parallel safe
return case when due_at < stopped_at then coalesce(noticed_at, stopped_at) end;
comment on function noticed_when_stopped is
'when the breach of a clock was noticed that is met or voided at `stopped_at`: by then at the latest';

revoke all on function is_finished, breached_when_stopped, noticed_when_stopped from public;
grant execute on function is_finished, breached_when_stopped, noticed_when_stopped to churn_loop, churn_desk;

reset role;
