-- A form sent twice is done once; refusals taken over the telephone are limited and told.
set local role churn_owner;

reset role;
