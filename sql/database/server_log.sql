-- name: read_settings
-- How the server logs, by the names of the settings.
select name, setting
from pg_settings
where name = any(cast(:names as text []))
order by name
