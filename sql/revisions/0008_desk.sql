-- What the desk keeps: uses of phone numbers, tickets held for a moment, idempotency keys.
set local role churn_owner;

reset role;
