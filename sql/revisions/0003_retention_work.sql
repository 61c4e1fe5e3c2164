-- What retention work records: contact ladder, processing, outcomes, do-not-call, linked tasks.
set local role churn_owner;

reset role;
