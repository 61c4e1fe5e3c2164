-- Branches, rosters, capacity per team, recall and hand-over.
set local role churn_owner;

reset role;
