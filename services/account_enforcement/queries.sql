-- The brake's statements (rule 45), in the schema of account enforcement.

-- name: lock_brake
-- Whoever restricts counts alone.
select shut_at, opened_at, accounts_known, busiest_day, counted_at from brake for update;

-- name: brake
-- As it stands, for those who only look.
select shut_at, opened_at, accounts_known, busiest_day, counted_at, limit_set from brake;

-- name: tell_limit
-- What the settings of a running service say, for those who look from elsewhere.
update brake set limit_set = $1 where limit_set is distinct from $1;

-- name: count_days
-- Days in UTC that ended 24 hours ago or earlier, for what happens now must not raise its own limit; each once, so that 60
-- days are not walked through again and again.
insert into restriction_days (day, restricted)
select (at at time zone 'UTC')::date, count(distinct account_id)
from restrictions
where at < date_trunc('day', $1::timestamptz - interval '24 hours', 'UTC')
    and at >= coalesce(
        (select (max(day) + 1)::timestamp at time zone 'UTC' from restriction_days), $1::timestamptz - interval '61 days'
    )
group by 1
on conflict (day) do nothing;

-- name: reckon_limit
-- From a hundred thousand accounts on what PostgreSQL believes is near enough. A walk over ten million, with the brake's row and
-- the accounts locked, would run into the time limit of a statement, every time anew, and nobody would be restricted at all.
update brake
set counted_at = $1::timestamptz,
    busiest_day = coalesce(
        (select max(restricted) from restriction_days where day >= ($1::timestamptz at time zone 'UTC')::date - 61), 0
    ),
    accounts_known = (
        select case
            when reltuples > 100000 then reltuples::bigint
            else (select count(*) from accounts where state is not null)
        end
        from pg_class where oid = 'accounts'::regclass
    )
returning accounts_known, busiest_day;

-- name: counted_since
-- Accounts that count towards the limit.
select count(distinct account_id) from restrictions where counted and at > $1;

-- name: counted_of
-- Of these accounts, those that count already: further steps of theirs are no new restriction.
select distinct account_id from restrictions where counted and at > $1 and account_id = any($2::text[]);

-- name: note_restrictions
-- What was restricted in this transaction.
insert into restrictions (account_id, at, counted)
select given.account_id, $1, given.counted from unnest($2::text[], $3::boolean[]) as given (account_id, counted)
on conflict (account_id, at) do nothing;

-- name: forget_restrictions
-- What no limit looks at any more.
delete from restrictions where at < $1::timestamptz - interval '61 days';

-- name: shut_brake
-- Once, with its record.
with shut as (update brake set shut_at = $1 where shut_at is null returning shut_at)
insert into brake_record (at, what, by_name, reason, restricted, limited_to)
select $1, 'shut', 'account_enforcement', 'the limit was reached', $2, $3 from shut;

-- name: open_brake
-- The count begins anew.
update brake set shut_at = null, opened_at = clock_timestamp() returning opened_at;

-- name: record_opening
-- Who let them through.
insert into brake_record (at, what, by_name, reason, restricted, limited_to) values ($1, 'opened', $2, $3, $4, null);

-- name: brake_record
-- Newest first.
select at, what, by_name, reason, restricted, limited_to from brake_record order by id desc limit $1;

-- name: lock_released
-- Accounts that waited for the brake, oldest first, once it is open and the news up to its opening was read (rule 40); what
-- somebody holds is passed over. Who waited when it was opened goes on, also where it was shut anew meanwhile.
select a.account_id
from cases c
join accounts a using (account_id)
where c.held_since is not null
    and (select (shut_at is null or c.held_since <= opened_at) and coalesce(opened_at <= $3, true) from brake)
    and c.account_id <> all ($2::text[])
order by c.held_since
limit $1
for update of a skip locked;

-- name: held_cases
-- Read after the lock.
select account_id, invoice_id, held_since
from cases
where account_id = any($1::text[]) and held_since is not null
order by held_since, account_id, invoice_id
limit $2;

-- name: count_held
-- Accounts that wait, counted up to a limit.
select count(*) from (select distinct account_id from cases where held_since is not null limit $1) counted;
