-- Standing contact limits, the frozen, approved gaps, retention periods and erasure.
set local role churn_owner;

reset role;
