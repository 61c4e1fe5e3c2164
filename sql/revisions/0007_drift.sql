-- Drift and ranking of factors.
set local role churn_owner;

reset role;
