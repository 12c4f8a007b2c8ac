-- The brake against mass restriction (rule 45). `held_since`: a step of the case is due that would restrict the account, and
-- waits until an operator opens the brake.
alter table cases add column held_since timestamptz;
create index cases_held on cases (held_since) where held_since is not null;

-- Accounts that were newly restricted, suspended or terminated. What an operator let through is not counted again.
create table restrictions (
    account_id text collate "C" not null,
    at         timestamptz not null,
    counted    boolean not null,
    primary key (account_id, at)
);
create index restrictions_by_time on restrictions (at);

-- One row, locked by whoever is about to restrict: so the count is exact, however many instances there are. How many accounts
-- are known is counted from time to time, for the default limit.
create table brake (
    the_only_row   boolean primary key default true,
    shut_at        timestamptz,
    opened_at      timestamptz,
    accounts_known bigint not null default 0,
    counted_at     timestamptz,
    constraint there_is_one_row check (the_only_row)
);
insert into brake default values;

create table brake_record (
    id         bigint generated always as identity primary key,
    at         timestamptz not null,
    what       text not null,
    by_name    text not null,
    reason     text not null,
    restricted bigint not null,
    limited_to bigint,
    constraint what_is_known check (what in ('shut', 'opened'))
);
create trigger on_record before update or delete on brake_record
    for each statement execute function refuse_to_change_a_record();
