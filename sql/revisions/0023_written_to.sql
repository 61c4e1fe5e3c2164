-- Who is written to by a campaign that does not grade stands on its list without a grade.
set local role churn_owner;

alter table outreach_items alter grade drop not null;
comment on column outreach_items.grade is 'high or mid; null where the campaign admits by something else than grades';

reset role;
