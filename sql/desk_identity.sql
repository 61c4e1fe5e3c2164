-- name: find_by_login
-- The active person behind an Airflow user.
select staff_id, staff_code, name, role, team, branch_code, airflow_username as username
from staff
where airflow_username = :username and is_active
