-- What `dunning case` and `dunning account` ask. {schema} is one service's schema; one snapshot covers all three.

-- name: schemas
-- Which of the services' tables are there: a service that was never migrated has no part in a story.
select nspname from pg_namespace where nspname = any($1::text[]) and to_regclass(quote_ident(nspname) || '.cases') is not null;

-- name: mode
-- Null: never started.
select word from {schema}.present_mode;

-- name: keys
-- Invoices that have a case, in the order of the key, so that the walk ends at the limit. `is_open` also holds for a
-- terminated case; whether it is open is in its state.
select account_id, invoice_id
from {schema}.cases
where case_id is not null
    and ($1::text is null or account_id = $1)
    and ($2::text is null or invoice_id = $2)
    and ($3::text is null or stage = $3)
    and ($4::boolean is null or (state ->> 'open')::boolean = $4)
order by account_id, invoice_id
limit $5;

-- name: cases
-- One service's rows of these invoices.
select account_id, invoice_id, case_id, number, stage, due_at, amount_minor, currency, policy_id, policy_version, state
from {schema}.cases
join unnest($1::text[], $2::text[]) as wanted (account_id, invoice_id) using (account_id, invoice_id);

-- name: case_by_id
-- The invoice whose present case this is.
select account_id, invoice_id from {schema}.cases where case_id = $1;

-- name: former_case
-- A case that another one of its invoice followed lives on in what was published about it.
select account_id, headers from {schema}.journal where case_id = $1 order by id limit 1;

-- name: account
-- The account's own facts, and the cases that are at hand with every input.
select a.state, coalesce(array_agg(c.state) filter (where c.state is not null), '{}') as cases
from {schema}.accounts a
left join {schema}.cases c on c.account_id = a.account_id and c.is_open
where a.account_id = $1
group by a.account_id;

-- name: case_story
-- What was published about a case, then what is still on its way; the newest where there is too much.
select * from (
    select id, topic, headers, value, published_at from {schema}.journal where case_id = $1
    union all
    select id, topic, headers, value, null from {schema}.outbox where case_id = $1
    order by id desc
    limit $2
) newest order by id;

-- name: account_story
-- What was published about an account as a whole.
select * from (
    select id, topic, headers, value, published_at from {schema}.journal where account_id = $1 and case_id is null
    union all
    select id, topic, headers, value, null from {schema}.outbox where account_id = $1 and case_id is null
    order by id desc
    limit $2
) newest order by id;

-- name: policy
-- The text of a version that a case pinned.
select body from {schema}.policies where id = $1 and version = $2;

-- name: errands
-- Notices on their way out. While one waits, due_at is when it is tried; a leased one is in somebody's hands.
select errand_id, state = 'waiting' as waits, tries, due_at from {schema}.errands where account_id = $1 and invoice_id = $2;
