-- Every statement of the store, by name. Values that a clock gives are parameters, so that a test can set the clock:
-- `coalesce($n, clock_timestamp())` is the time given, or else the database's own.

-- name: facts
-- What was fixed when the schema was made.
select name, value from facts;

-- name: now
-- The clock itself, not the beginning of the transaction: whoever waited for a lock must not act in the past.
select clock_timestamp();

-- name: present_mode
-- One row, whose word is null until the first start.
select word from present_mode;

-- name: may_act
-- A service that was never started has not been told not to.
select coalesce(word, 'act') = 'act' from present_mode;

-- name: hold_mode
-- A switch waits until the transaction that asked ends; who asks during a switch waits, and hears the new word.
select coalesce(word, 'act') = 'act' from present_mode for share;

-- name: lock_mode
-- Waits for whoever is about to act.
select word from present_mode for update;

-- name: switch_mode
-- The word and its record, together.
with switched as (update present_mode set word = $1 returning word)
insert into mode_switches (from_mode, to_mode, by_name, reason)
select $2, word, $3, $4 from switched
returning at, from_mode, to_mode, by_name, reason;

-- name: mode_switches
-- Newest first.
select at, from_mode, to_mode, by_name, reason from mode_switches order by id desc limit $1;

-- name: lock_offsets
-- First of all locks. A row that is missing in the result has another epoch: somebody took the partition over.
select o.topic, o.partition, o.next_offset
from offsets o
join unnest($1::text[], $2::integer[], $3::bigint[]) as mine (topic, partition, epoch) using (topic, partition)
where o.epoch = mine.epoch
order by o.topic, o.partition
for update of o;

-- name: advance_offsets
-- The rows are ours since `lock_offsets`, so the epoch needs no second look.
update offsets o
set next_offset = read.next_offset
from unnest($1::text[], $2::integer[], $3::bigint[]) as read (topic, partition, next_offset)
where o.topic = read.topic and o.partition = read.partition;

-- name: end_frozen
-- The server counts a session between two messages of one statement as busy, and its limit for idle ones does not end it.
-- A process that froze right there would keep its locks for as long as it is frozen.
select count(pg_terminate_backend(pid))
from pg_stat_activity
where datname = current_database() and usename = current_user
    and application_name = current_setting('application_name') and pid <> pg_backend_pid()
    and state = 'active' and wait_event = 'ClientRead'
    and clock_timestamp() - query_start > current_setting('idle_in_transaction_session_timeout')::interval;

-- name: take_over
-- Waits until a turn of the former owner has ended; from then on that owner's epoch matches no row.
insert into offsets as o (topic, partition, epoch)
select given.topic, given.partition, 1
from unnest($1::text[], $2::integer[]) as given (topic, partition)
order by given.topic, given.partition
on conflict (topic, partition) do update set epoch = o.epoch + 1, read_through = null
returning o.topic, o.partition, o.epoch, o.next_offset;

-- name: lock_offset
-- Waits for a turn that has it in hand.
select next_offset from offsets where topic = $1 and partition = $2 for update;

-- name: move_offset
-- The epoch rises: whoever reads the partition now writes nothing any more and begins again, at the new offset. What was
-- read through is forgotten: nothing due is done before the news is read from there on (rule 40).
with moved as (
    insert into offsets as o (topic, partition, epoch, next_offset) values ($1, $2, 1, $3)
    on conflict (topic, partition) do update set epoch = o.epoch + 1, next_offset = $3, read_through = null
)
insert into offset_moves (topic, partition, from_offset, to_offset, by_name, reason)
values ($1, $2, $4, $3, $5, $6)
returning at, topic, partition, from_offset, to_offset, by_name, reason;

-- name: offset_moves
-- Newest first.
select at, topic, partition, from_offset, to_offset, by_name, reason from offset_moves order by id desc limit $1;

-- name: offsets
-- All of them.
select topic, partition, next_offset, read_through, clock_timestamp() as now from {schema}.offsets;

-- name: note_read_through
-- Never backwards, and only where the epoch is still ours and what we stored is stored: a database that was restored, or a
-- standby that took over too early, knows less. Locked in order first: a turn may hold several rows.
with mine as (
    select o.topic, o.partition, given.instant
    from offsets o
    join unnest($1::text[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::bigint[])
        as given (topic, partition, epoch, instant, stored) using (topic, partition)
    where o.epoch = given.epoch and (given.stored is null or o.next_offset >= given.stored)
    order by o.topic, o.partition
    for update of o
)
update offsets o
set read_through = greatest(o.read_through, mine.instant)
from mine
where o.topic = mine.topic and o.partition = mine.partition
returning o.topic, o.partition;

-- name: horizon
-- One row per partition that was read through since its owner took it over.
select count(*) as known, min(o.read_through) as instant
from offsets o
join unnest($1::text[], $2::integer[]) as wanted (topic, partition) using (topic, partition)
where o.read_through is not null;

-- name: first_sightings
-- A key that another transaction is about to write makes us wait for its end; no violation is ever raised, for that
-- would kill the transaction. Written in the order of the keys: two batches with the same events do not deadlock.
insert into inbox (key, content, seen_at)
select given.key, given.content, coalesce($3::timestamptz, clock_timestamp())
from unnest($1::bigint[], $2::bigint[]) as given (key, content)
order by given.key
on conflict (key) do nothing
returning key;

-- name: seen_contents
-- A statement of its own: what we just waited for is invisible to the statement that waited.
select key, content from inbox where key = any($1::bigint[]);

-- name: forget_sightings
-- What was set aside had no effect: the same thing, sent again when its cause is mended, is to act.
delete from inbox where key = any($1::bigint[]);

-- name: create_accounts
-- New accounts are locked by being written; whoever meets them in the meantime waits. Sorted against deadlocks.
insert into accounts (account_id)
select given.account_id
from unnest($1::text[]) as given (account_id)
order by given.account_id
on conflict (account_id) do nothing
returning account_id;

-- name: lock_accounts
-- In the order of ids. The state is that after the wait.
select account_id, state
from accounts
where account_id = any($1::text[])
order by account_id
for update;

-- name: load_cases
-- The open cases of the locked accounts ($1), and closed ones that inputs name ($2), in one walk along the key. An
-- invoice that is named of another account comes along, rarely, and is dropped by the reader.
select account_id, invoice_id, is_open, state
from cases
where account_id = any($1::text[]) and (is_open or invoice_id = any($2::text[]))
order by account_id, invoice_id;

-- name: closed_with
-- Closed cases that hold a thing by its id, such as a notice. Asked for rarely, and an account has few closed cases; so their
-- states are looked through, and no index makes every write dearer.
select c.account_id, c.invoice_id
from cases c
join unnest($1::text[], $2::text[]) as thing (account_id, id) using (account_id)
where not c.is_open and position(to_json(thing.id)::text in c.state::text) > 0;

-- name: save_accounts
-- Arrays instead of a temporary table: measured alike, and nothing to set up per connection.
update accounts a
set state = given.state
from unnest($1::text[], $2::json[]) as given (account_id, state)
where a.account_id = given.account_id;

-- name: save_cases
-- Known cases. The projections of the service are filled in when the store is made ({arrays}, {names}, {assignments}).
update cases c
set state = given.state, is_open = given.is_open, due_at = given.due_at, closed_at = given.closed_at,
    kept_longer = given.kept_longer{assignments}
from unnest($1::text[], $2::text[], $3::json[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::boolean[]{arrays})
    as given (account_id, invoice_id, state, is_open, due_at, closed_at, kept_longer{names})
where c.account_id = given.account_id and c.invoice_id = given.invoice_id;

-- name: create_shared
-- State that accounts share is locked like accounts: what is new by being written, sorted against deadlocks.
insert into shared (key)
select given.key
from unnest($1::text[]) as given (key)
order by given.key
on conflict (key) do nothing
returning key;

-- name: lock_shared
-- In the order of keys. The state is that after the wait.
select key, state
from shared
where key = any($1::text[])
order by key
for update;

-- name: shared_blocks
-- How long the walk is.
select (pg_relation_size('shared') / current_setting('block_size')::integer)::integer;

-- name: drop_old_shared
-- By place on the disk, like first sightings: an index on the end would make every write dearer. What somebody holds is
-- passed over, not waited for: these rows are locked in the order of their keys, and the walk goes another way.
with gone as (
    delete from shared
    where key in (
        select key
        from shared
        where ctid >= $1::tid and ctid < $2::tid and (kept_until is null or kept_until < $3::timestamptz)
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: save_shared
-- The rows are ours since they were locked.
update shared s
set state = given.state, kept_until = given.kept_until
from unnest($1::text[], $2::json[], $3::timestamptz[]) as given (key, state, kept_until)
where s.key = given.key;

-- name: lock_due_accounts
-- Along the partial index, oldest first; an account that somebody holds is passed over, not waited for. An account with
-- several due cases comes up several times and counts towards the limit each time. Those that are passed over ($3) must
-- not count: an account with many cases that cannot be decided would keep all others from being woken. The lower bound
-- ($4) keeps the scan away from index entries of timers that are gone but not yet vacuumed (`dunning.runtime.sweep`).
select a.account_id
from cases c
join accounts a using (account_id)
where c.due_at <= $1::timestamptz and c.due_at >= coalesce($4::timestamptz, '-infinity') and c.account_id <> all ($3::text[])
order by c.due_at
limit $2
for update of a skip locked;

-- name: due_cases
-- Read again after the lock: what a batch paid or moved in the meantime is not due any more. Of an account with thousands
-- of due cases some are left for the next look.
select account_id, invoice_id, due_at
from cases
where account_id = any($1::text[]) and due_at <= $2::timestamptz
order by due_at, account_id, invoice_id
limit $3;

-- name: pending
-- By number within the shard. A later commit may bring a lower number, but of another key: one key is written under its
-- account's lock. So the next look begins at the oldest again, never behind the last one seen. Sizes are known without
-- reading the values. What is passed over ($4, topic and key with a space between) is a filter and no join: the rows must
-- come along the key however many there are. Nothing while the service does not act (rule 42).
select id, topic, key, headers, value, case_id, account_id, recorded_at
from (
    select *,
        row_number() over by_number as place,
        sum(octet_length(value) + octet_length(headers) + octet_length(key)) over by_number as bytes
    from outbox
    where shard = $1 and (topic || ' ' || key) <> all ($4::text[])
        and (select coalesce(word, 'act') = 'act' from present_mode)
    window by_number as (order by id rows unbounded preceding)
    order by id
    limit $2
) oldest
where bytes <= $3 or place = 1
order by id;

-- name: pending_letters
-- Dead letters leave in every mode, past what is held back, along an index of their own.
select id, topic, key, headers, value, case_id, account_id, recorded_at
from outbox
where shard = $1 and account_id is null and case_id is null and (topic || ' ' || key) <> all ($2::text[])
    and (select coalesce(word, 'act') <> 'act' from present_mode)
order by id
limit $3;

-- name: shards_pending
-- The shards, of some, in which a row may leave: the first one of each is looked for along an index, as above. Asked all
-- the time, and almost always in vain.
select wanted.shard
from unnest($1::smallint[]) as wanted (shard), lateral (
    (
        select from outbox
        where shard = wanted.shard and (select coalesce(word, 'act') = 'act' from present_mode)
        order by id limit 1
    )
    union all
    (
        select from outbox
        where shard = wanted.shard and account_id is null and case_id is null
            and (select coalesce(word, 'act') <> 'act' from present_mode)
        order by id limit 1
    )
) first;

-- name: outbox_holds
-- Counts no further than asked, and nothing while the service does not act (rule 42).
select coalesce(word, 'act') = 'act' and (select count(*) from (select from outbox limit $1) counted) >= $1
from present_mode;

-- name: finish
-- Exactly the rows that were acknowledged, and none that was recorded later ($4): a database that was restored gives the
-- numbers again. Rows of no case and no account (dead letters) have no story to tell.
with done as (
    delete from outbox
    where shard = $1 and id = any($2::bigint[]) and ($4::timestamptz is null or recorded_at <= $4::timestamptz)
    returning id, topic, key, headers, value, case_id, account_id, recorded_at
)
insert into journal (id, topic, key, headers, value, case_id, account_id, recorded_at, published_at)
select id, topic, key, headers, value, case_id, account_id, recorded_at, coalesce($3::timestamptz, clock_timestamp())
from done
where case_id is not null or account_id is not null;

-- name: give_errands
-- The same errand twice is one errand.
insert into errands (errand_id, account_id, invoice_id, kind, payload, not_before, due_at, given_at)
select g.errand_id, g.account_id, g.invoice_id, g.kind, g.payload, g.not_before, g.not_before, $7::timestamptz
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
    as g (errand_id, account_id, invoice_id, kind, payload, not_before)
on conflict (errand_id) do nothing;

-- name: withdraw_errands
-- What still waits becomes due at once, so that its end is reported soon. What is begun goes on; the mark counts if it
-- is postponed. From then on nobody needs what was to be said and to whom, so it goes at once: an erasure must leave no
-- address behind in an errand that waits (`account.erased`).
update errands
set withdrawn = true, payload = '{}', due_at = case state when 'waiting' then least(due_at, $2::timestamptz) else due_at end
where errand_id = any($1::text[]);

-- name: lease_errands
-- Oldest first. A lease that ran out is given to the next worker, who learns whether the former one had begun. The clock is
-- read in a query of its own: compared row by row it could not end the walk along the index at the first that is not due.
with due as (
    select errand_id, state
    from errands
    where due_at <= (select coalesce($1::timestamptz, clock_timestamp()))
        and (select coalesce(word, 'act') = 'act' from present_mode)
    order by due_at
    limit $2
    for update skip locked
)
update errands e
set state = case due.state when 'begun' then 'begun' else 'leased' end,
    token = gen_random_uuid(),
    tries = e.tries + 1,
    lease_seconds = $3,
    due_at = coalesce($1::timestamptz, clock_timestamp()) + make_interval(secs => $3)
from due
where e.errand_id = due.errand_id
returning e.errand_id, e.account_id, e.invoice_id, e.kind, e.payload, e.not_before, e.token, e.tries, e.withdrawn,
    e.state = 'begun' as begun, e.refusals;

-- name: begin_errand
-- Only with the lease in hand and its time not over; the lease starts anew, since the work only begins now. Only while the
-- service acts (rule 42): a switch that is being committed is waited for, and its word counts.
with acting as materialized (select from present_mode where coalesce(word, 'act') = 'act' for share)
update errands
set state = 'begun', due_at = coalesce($3::timestamptz, clock_timestamp()) + make_interval(secs => lease_seconds)
where errand_id = $1
    and token = $2
    and state = 'leased'
    and not withdrawn
    and due_at > coalesce($3::timestamptz, clock_timestamp())
    and exists (select from acting)
returning true;

-- name: postpone_errand
-- Back to waiting, also when it was begun. Withdrawn in the meantime: due at once, to be reported as such.
update errands
set state = 'waiting',
    token = null,
    lease_seconds = null,
    due_at = case when withdrawn then coalesce($6::timestamptz, clock_timestamp()) else $3::timestamptz end,
    not_before = coalesce($4::timestamptz, not_before),
    refusals = refusals + $5::boolean::integer
where errand_id = $1 and token = $2
returning true;

-- name: finish_errand
-- Filters on the lease: a worker who lost it changes nothing.
delete from errands where errand_id = $1 and token = $2 returning true;

-- name: save_policy
-- The first one stands.
insert into policies (id, version, digest, body) values ($1, $2, $3, $4)
on conflict (id, version) do nothing
returning true;

-- name: policy_digest
-- What stands, to compare with.
select digest from policies where id = $1 and version = $2;

-- name: policy_versions
-- Looked at every few seconds, so without the bodies.
select id, version from policies;

-- name: load_policies
-- All versions: cases use old ones until they close.
select id, version, digest, body from policies order by id, version;

-- name: give_replay
-- The partial unique index says no to a second one while one waits or after one has acted (rule 5); two operators at once
-- get one order.
insert into dead_letter_orders (
    kind, topic, dlq_partition, dlq_offset, set_aside_for, given_by, why, masked, corrected, key, headers, body,
    body_sha256, given_at
)
values ('replay', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13::timestamptz, clock_timestamp()))
on conflict (topic, dlq_partition, dlq_offset)
    where kind = 'replay' and (outcome is null or outcome in ('applied', 'duplicate'))
    do nothing
returning id;

-- name: give_discard
-- What waits to be replayed, or was, is not to be discarded any more. A replay that is ordered at the same instant wins.
insert into dead_letter_orders (
    kind, topic, dlq_partition, dlq_offset, set_aside_for, given_by, why, given_at, outcome, done_at
)
select 'discard', $1, $2, $3, $4, $5, $6, clock.now, 'discarded', clock.now
from (select coalesce($7::timestamptz, clock_timestamp()) as now) clock
where not exists (
    select from dead_letter_orders
    where topic = $1 and dlq_partition = $2 and dlq_offset = $3
        and kind = 'replay' and (outcome is null or outcome in ('applied', 'duplicate'))
)
returning id;

-- name: orders_on_file
-- Of some dead letters, oldest first.
select o.id, o.topic, o.dlq_partition, o.dlq_offset, o.kind, o.given_by, o.given_at, o.why, o.corrected, o.body_sha256,
    o.outcome, o.outcome_reason, o.outcome_detail, o.done_at
from dead_letter_orders o
join unnest($1::text[], $2::integer[], $3::bigint[]) as asked (topic, dlq_partition, dlq_offset)
    using (topic, dlq_partition, dlq_offset)
order by o.id;

-- name: take_replay
-- First of all locks. What another instance has in hand is passed over; it is taken again if that one dies.
select id, topic, dlq_partition, dlq_offset, key, headers, body
from dead_letter_orders
where outcome is null and id <> all ($1::bigint[])
order by id
limit 1
for update skip locked;

-- name: note_replay
-- In the transaction that acts. The copy of the message goes: its bytes stay in the dead letters' topic.
update dead_letter_orders
set outcome = $2, outcome_reason = $3, outcome_detail = $4, done_at = coalesce($5::timestamptz, clock_timestamp()),
    key = null, headers = null, body = null
where id = $1;

-- name: lock_forgettable
-- Along the partial index, the longest closed first, of both kinds. An account that somebody holds is passed over. A row that
-- a former version opened again still says when it was closed.
select a.account_id
from (
    (
        select account_id from cases
        where not kept_longer and closed_at < $1::timestamptz and not is_open order by closed_at limit $3
    )
    union all
    (
        select account_id from cases
        where kept_longer and closed_at < $2::timestamptz and not is_open order by closed_at limit $3
    )
) old
join accounts a using (account_id)
limit $3
for update of a skip locked;

-- name: forget_cases
-- Looked at again under the lock. Never what is open, terminated or due (`closed_at` is null then), nor what an errand is
-- out for; so many errands are never out that looking through them costs much.
delete from cases c
using (
    select account_id, invoice_id
    from cases
    where account_id = any($1::text[]) and not is_open
        and ((not kept_longer and closed_at < $2::timestamptz) or (kept_longer and closed_at < $3::timestamptz))
    limit $4
) old
where c.account_id = old.account_id and c.invoice_id = old.invoice_id and not c.is_open
    and not exists (select from errands e where e.account_id = c.account_id and e.invoice_id = c.invoice_id)
returning c.account_id, c.kept_longer, c.state;

-- name: forget_events
-- The stories of these cases, and of these accounts what is as old as a forgotten case.
with of_cases as (
    delete from journal where case_id = any($1::text[]) returning 1
), of_accounts as (
    delete from journal where account_id = any($2::text[]) and case_id is null and published_at < $3::timestamptz returning 1
)
select (select count(*) from of_cases) + (select count(*) from of_accounts);

-- name: accounts_without_cases
-- Of the locked ones.
select account_id, state
from accounts a
where account_id = any($1::text[])
    and not exists (select from cases c where c.account_id = a.account_id)
    and not exists (select from errands e where e.account_id = a.account_id);

-- name: forget_accounts
-- Whoever waits for one of these rows finds it gone and makes it anew (`Accounts.load`).
delete from accounts where account_id = any($1::text[]);

-- name: inbox_blocks
-- How long the walk is.
select (pg_relation_size('inbox') / current_setting('block_size')::integer)::integer;

-- name: drop_old_sightings
-- By place on the disk: no index is needed, each block is read once a round, and a round costs the same whatever is old.
-- Whoever sends an old key again at this moment waits for the end of this statement, and is first.
with gone as (
    delete from inbox where ctid >= $1::tid and ctid < $2::tid and seen_at < $3::timestamptz returning 1
)
select count(*) from gone;
