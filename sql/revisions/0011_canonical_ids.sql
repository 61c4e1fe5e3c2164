-- One writing for one person: what is stored is brought to the canonical form, counts told.
set local role churn_owner;

reset role;
