-- Calendar layers, service levels, delivery of notices.
set local role churn_owner;

reset role;
