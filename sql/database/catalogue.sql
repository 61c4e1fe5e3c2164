-- What a database is made of, one line per object: kind, name, definition. The relations and functions of the schema
-- public that belong to churn_owner, and those named in :known whoever owns them.

-- name: look_from_public
-- Definitions are worded by what is in sight: nothing but public, until the transaction ends.
select set_config('search_path', 'public, pg_temp', true)

-- name: server_version
-- The major version of the server, which words definitions its own way.
select cast(current_setting('server_version_num') as integer) / 10000

-- name: relations
-- Tables and views with their owner and row-level security; the bookkeeping of upgrades belongs to who upgrades.
select
    case when c.relkind = 'v' then 'view' else 'table' end as kind,
    cast(c.relname as text) as name,
    concat_ws(
        ', ',
        case when c.relname in ('churn_revision', 'revision_texts') then null else pg_get_userbyid(c.relowner) end,
        case when c.relrowsecurity then 'row security' end,
        case when c.relforcerowsecurity then 'forced' end,
        array_to_string(c.reloptions, ', '),
        case when c.relkind = 'v' then md5(pg_get_viewdef(c.oid)) end
    ) as definition
from pg_class as c
where
    c.relnamespace = cast('public' as regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))

-- name: columns
-- Columns of tables with type, default and whether they may be empty.
select
    'column' as kind,
    format('%s.%s', c.relname, a.attname) as name,
    concat_ws(
        ' ',
        format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' end,
        case when a.attidentity <> '' then 'identity ' || cast(a.attidentity as text) end,
        case when a.attgenerated <> '' then 'generated ' || cast(a.attgenerated as text) end,
        pg_get_expr(d.adbin, d.adrelid)
    ) as definition
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
where
    c.relnamespace = cast('public' as regnamespace) and c.relkind in ('r', 'p')
    and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))

-- name: constraints
-- Keys, foreign keys and checks; whether one has been validated meanwhile is nobody's fault.
select
    'constraint' as kind,
    format('%s.%s', c.relname, o.conname) as name,
    replace(pg_get_constraintdef(o.oid), ' NOT VALID', '') as definition
from pg_class as c
inner join pg_constraint as o on c.oid = o.conrelid and o.contype in ('p', 'u', 'f', 'c', 'x')
where
    c.relnamespace = cast('public' as regnamespace)
    and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))

-- name: indexes
-- Indexes with their expressions and conditions; one that is broken is another.
select
    'index' as kind,
    format('%s.%s', c.relname, i.relname) as name,
    pg_get_indexdef(x.indexrelid) || case when x.indisvalid then '' else ', invalid' end as definition
from pg_class as c
inner join pg_index as x on c.oid = x.indrelid
inner join pg_class as i on x.indexrelid = i.oid
where
    c.relnamespace = cast('public' as regnamespace)
    and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))

-- name: triggers
-- Triggers with when and how they fire; a disabled one is another.
select
    'trigger' as kind,
    format('%s.%s', c.relname, t.tgname) as name,
    pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' else ', enabled ' || cast(t.tgenabled as text) end as definition
from pg_class as c
inner join pg_trigger as t on c.oid = t.tgrelid and not t.tgisinternal
where
    c.relnamespace = cast('public' as regnamespace)
    and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))

-- name: policies
-- Row-level security: for whom, for what, which rows.
select
    'policy' as kind,
    format('%s.%s', p.tablename, p.policyname) as name,
    format(
        '%s for %s to %s using (%s) with check (%s)',
        p.permissive, p.cmd, array_to_string(p.roles, ', '), p.qual, p.with_check
    ) as definition
from pg_policies as p
where p.schemaname = 'public'

-- name: functions
-- Functions with their owner and a hash of all they are.
select
    'function' as kind,
    cast(cast(p.oid as regprocedure) as text) as name,
    format('%s, %s', pg_get_userbyid(p.proowner), md5(pg_get_functiondef(p.oid))) as definition
from pg_proc as p
where
    p.pronamespace = cast('public' as regnamespace) and p.prokind <> 'a'
    and (
        p.proowner = to_regrole('churn_owner')
        or cast(cast(p.oid as regprocedure) as text) = any(cast(:known as text []))
    )

-- name: grants
-- Who but its owner may do what with a table, a column or a function: everybody, the stages, the desk.
with given as (
    select 'table ' || c.relname as name, a.grantee, a.privilege_type, c.relowner as owner
    from pg_class as c
    cross join aclexplode(c.relacl) as a
    where
        c.relnamespace = cast('public' as regnamespace)
        and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))
    union all
    select format('column %s.%s', c.relname, t.attname), a.grantee, a.privilege_type, c.relowner
    from pg_class as c
    inner join pg_attribute as t on c.oid = t.attrelid and not t.attisdropped
    cross join aclexplode(t.attacl) as a
    where
        c.relnamespace = cast('public' as regnamespace)
        and (c.relowner = to_regrole('churn_owner') or c.relname = any(cast(:known as text [])))
    union all
    select 'function ' || cast(p.oid as regprocedure), a.grantee, a.privilege_type, p.proowner
    from pg_proc as p
    cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    where
        p.pronamespace = cast('public' as regnamespace)
        and (
            p.proowner = to_regrole('churn_owner')
            or cast(cast(p.oid as regprocedure) as text) = any(cast(:known as text []))
        )
)

select
    'grant' as kind,
    format('%s to %s', g.name, coalesce(r.rolname, 'public')) as name,
    string_agg(lower(g.privilege_type), ', ' order by g.privilege_type) as definition
from given as g
left join pg_roles as r on g.grantee = r.oid
where
    g.grantee <> g.owner and (g.grantee = 0 or r.rolname in ('churn_owner', 'churn_loop', 'churn_desk'))
group by g.name, r.rolname

-- name: rights_above
-- What stages and desk may make, however they came to the right, and what new functions begin with.
with given as (
    select 'database' as name, r.rolname, p.privilege
    from pg_roles as r
    cross join unnest(array['create', 'temporary']) as p (privilege)
    where has_database_privilege(r.oid, current_database(), p.privilege)
    union all
    select 'schema public', r.rolname, p.privilege
    from pg_roles as r
    cross join unnest(array['create', 'usage']) as p (privilege)
    where has_schema_privilege(r.oid, 'public', p.privilege)
    union all
    select 'new functions of churn_owner', coalesce(r.rolname, 'public'), lower(a.privilege_type)
    from pg_default_acl as d
    cross join aclexplode(d.defaclacl) as a
    left join pg_roles as r on a.grantee = r.oid
    where d.defaclrole = to_regrole('churn_owner') and d.defaclobjtype = 'f'
)

select
    'grant' as kind,
    format('%s to %s', g.name, g.rolname) as name,
    string_agg(g.privilege, ', ' order by g.privilege) as definition
from given as g
where g.rolname in ('churn_loop', 'churn_desk') or g.name like 'new %'
group by g.name, g.rolname

-- name: roles
-- No role passes by its walls or borrows the rights of another.
select
    'role' as kind,
    cast(r.rolname as text) as name,
    concat_ws(
        ', ',
        case when r.rolsuper then 'superuser' else 'ordinary' end,
        case when r.rolbypassrls then 'passes by row security' end,
        (
            select 'member of ' || string_agg(cast(cast(m.roleid as regrole) as text), ', ' order by m.roleid)
            from pg_auth_members as m
            where m.member = r.oid
        )
    ) as definition
from pg_roles as r
where r.rolname in ('churn_owner', 'churn_loop', 'churn_desk')

-- name: texts_run
-- The hash of the text each revision of this database was run with.
select
    'revision' as kind,
    revision as name,
    sha256 as definition
from revision_texts

-- name: record_text
-- The hash of the text a revision was run with is kept from the first time on.
insert into revision_texts (revision, sha256)
values (:revision, :sha256)
on conflict (revision) do nothing
