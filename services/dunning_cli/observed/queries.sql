-- What shadows decided, in numbers. {schema} is a shadow's schema; what is not published yet was decided all the same.

-- name: shadow_is_there
-- A service that was never migrated has none.
select to_regclass($1 || '.journal') is not null;

-- name: last_observation
-- When the service was last switched to observe.
select max(at) from {service}.mode_switches where to_mode = 'observe';

-- name: notices
-- The last word on each notice counts once: what was accepted is `sent`, and `delivered` is told beside it.
select to_char((event ->> 'at')::timestamptz at time zone 'UTC', 'YYYY-MM-DD') as day,
    event ->> 'rung' as rung, event ->> 'channel' as channel, event ->> 'outcome' as outcome, event ->> 'reason' as reason,
    count(*) as number
from (
    select convert_from(value, 'UTF8')::jsonb as event from {schema}.journal where topic = $1 and recorded_at >= $2
    union all
    select convert_from(value, 'UTF8')::jsonb from {schema}.outbox where topic = $1 and recorded_at >= $2
) said
where event ->> 'outcome' <> 'delivered'
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5;

-- name: charges
-- By the day from which they may be made.
select to_char((event ->> 'not_before')::timestamptz at time zone 'UTC', 'YYYY-MM-DD') as day,
    event ->> 'currency' as currency, count(*) as number, sum((event ->> 'amount_minor')::bigint)::bigint as amount_minor
from (
    select convert_from(value, 'UTF8')::jsonb as event from {schema}.journal where topic = $1 and recorded_at >= $2
    union all
    select convert_from(value, 'UTF8')::jsonb from {schema}.outbox where topic = $1 and recorded_at >= $2
) said
group by 1, 2
order by 1, 2;

-- name: restrictions
-- Accounts that got worse than they stood, by the day since when.
select to_char((event ->> 'since')::timestamptz at time zone 'UTC', 'YYYY-MM-DD') as day,
    event ->> 'status' as status, count(distinct event ->> 'account_id') as accounts
from (
    select convert_from(value, 'UTF8')::jsonb as event from {schema}.journal where topic = $1 and recorded_at >= $2
    union all
    select convert_from(value, 'UTF8')::jsonb from {schema}.outbox where topic = $1 and recorded_at >= $2
) said
where array_position($3::text[], event ->> 'status') > array_position($3::text[], event ->> 'previous_status')
    and event ->> 'status' = any($4::text[])
group by 1, 2
order by 1, 2;
