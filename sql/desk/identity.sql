-- name: find_by_login
-- The active person behind an Airflow user, and what is stopped just now, which every page tells.
select
    staff_id, staff_code, name, role, team, branch_code, airflow_username as username,
    array(
        select jsonb_build_object(
            'scope', s.scope, 'what', s.what, 'because', s.because, 'stopped_by', s.stopped_by,
            'since', to_char(s.stopped_at at time zone 'Asia/Shanghai', 'MM-DD HH24:MI')
        )
        from outbound_stops as s
        where s.lifted_at is null
        order by s.stop_id
    ) as stops
from staff
where airflow_username = :username and is_active
