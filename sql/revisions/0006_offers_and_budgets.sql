-- Offers, budget pots, outreach lists.
set local role churn_owner;

reset role;
