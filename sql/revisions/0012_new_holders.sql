-- A number that went to somebody new: the former holder's refusals lapse, by the number alone.
set local role churn_owner;

reset role;
