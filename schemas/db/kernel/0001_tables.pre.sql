-- What the kernel keeps for every service, in the schema of that service.
--
-- Ids compare by their bytes (collate "C"): faster, and the same order as everywhere else in the platform. Keys of
-- account data begin with account_id, so that a sharded PostgreSQL can distribute them.

-- What was fixed for ever when the schema was made, such as the number of outbox shards.
create table facts (
    name        text primary key,
    value       jsonb not null,
    recorded_at timestamptz not null default now()
);

-- Where each input partition is read, by whom (epoch), and up to when everything was read (rule 40). Updated every turn,
-- so half of each page is left free for the new row versions.
create table offsets (
    topic        text collate "C" not null,
    partition    integer not null,
    epoch        bigint not null,
    next_offset  bigint,
    read_through timestamptz,
    primary key (topic, partition),
    constraint epochs_count_from_one   check (epoch > 0),
    constraint offsets_are_not_negative check (next_offset >= 0)
) with (fillfactor = 50);

-- First sightings by business key (rule 1): two hashes and a time, nothing else, because this is one row per event.
create table inbox (
    key     bigint primary key,
    content bigint not null,
    seen_at timestamptz not null
);
create index inbox_by_age on inbox using brin (seen_at);

-- One row per account: the row that is locked before anything of the account is read. A row without state belongs to
-- an account that was locked but never changed. Free space lets the first state be written into the same page.
create table accounts (
    account_id text collate "C" primary key,
    state      jsonb
) with (fillfactor = 60);

-- One row per invoice. `state` is the truth; the columns that a service adds are projections of it. No foreign key: the
-- account's row is locked, hence there, whenever a case is written, and the check would cost as much as the write.
create table cases (
    account_id text collate "C" not null,
    invoice_id text collate "C" not null,
    state      jsonb not null,
    is_open    boolean not null,
    due_at     timestamptz,
    primary key (account_id, invoice_id)
) with (fillfactor = 80);
create index cases_by_due_at on cases (due_at) where due_at is not null;

-- Events on their way to Kafka. The key begins with the shard, since each shard has one relay that reads it in order.
-- The identity must not be cached per session: numbers would no longer follow the order of the accounts' locks.
create table outbox (
    shard       smallint not null,
    id          bigint generated always as identity (cache 1),
    topic       text not null,
    key         text not null,
    headers     bytea not null,
    value       bytea not null,
    case_id     text collate "C",
    account_id  text collate "C",
    recorded_at timestamptz not null,
    primary key (shard, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_insert_threshold = -1);

-- Events that Kafka acknowledged, for the story of a case and of an account. Same bytes as published.
create table journal (
    id           bigint not null,
    topic        text not null,
    key          text not null,
    headers      bytea not null,
    value        bytea not null,
    case_id      text collate "C",
    account_id   text collate "C",
    recorded_at  timestamptz not null,
    published_at timestamptz not null,
    constraint belongs_to_a_story check (case_id is not null or account_id is not null)
);
create index journal_by_case on journal (case_id, id) where case_id is not null;
create index journal_by_account on journal (account_id, id) where account_id is not null;

-- Work on the outside world. `due_at` is when somebody may take it next: while it waits, when it may be tried; while it
-- is leased, when the lease runs out. What is `begun` may have happened and is never begun again.
create table errands (
    errand_id     text collate "C" primary key,
    account_id    text collate "C" not null,
    invoice_id    text collate "C" not null,
    kind          text not null,
    payload       jsonb not null,
    not_before    timestamptz not null,
    state         text not null default 'waiting',
    withdrawn     boolean not null default false,
    due_at        timestamptz not null,
    lease_seconds double precision,
    token         uuid,
    tries         integer not null default 0,
    given_at      timestamptz not null,
    constraint state_is_known       check (state in ('waiting', 'leased', 'begun')),
    constraint only_a_lease_has_a_token check ((state = 'waiting') = (token is null)),
    constraint a_lease_has_a_length check ((token is null) = (lease_seconds is null))
);
create index errands_by_due_at on errands (due_at);

-- Policy versions that were ever in force here: cases pin them, and a changed one under the same version is refused.
create table policies (
    id            text not null,
    version       integer not null,
    digest        text not null,
    body          text not null,
    first_seen_at timestamptz not null default now(),
    primary key (id, version)
);
