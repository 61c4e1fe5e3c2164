-- name: read_saved
-- The views the person keeps.
select view_id, name, query
from saved_views
where staff_id = :staff_id
order by name

-- name: save_view
-- Keep a view under a name; the same name again replaces it.
insert into saved_views (staff_id, name, query)
values (:staff_id, :name, :query)
on conflict (staff_id, name) do update set query = excluded.query

-- name: forget_view
-- A view is kept no longer.
delete from saved_views
where staff_id = :staff_id and view_id = :view_id
