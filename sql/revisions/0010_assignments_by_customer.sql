-- Who was assigned lately is asked by number and by customer, for every warning of a dispatch and every
-- assignment of an evaluation.

create index assignments_by_customer on assignments (customer_key, campaign);
