-- Whether the service acts on the world, and who said so (rule 42). One row, which whoever is about to act locks for share:
-- a switch is committed before or after what they do, never in the middle. `word` is null until the first start.
create table present_mode (
    the_only_row boolean primary key default true,
    word         text,
    constraint there_is_one_row check (the_only_row),
    constraint word_is_known    check (word in ('act', 'observe', 'stop'))
);
insert into present_mode default values;

create table mode_switches (
    id        bigint generated always as identity primary key,
    at        timestamptz not null default clock_timestamp(),
    from_mode text,
    to_mode   text not null,
    by_name   text not null,
    reason    text not null
);

create function refuse_to_change_a_record() returns trigger language plpgsql as
$$ begin raise exception 'rows of % are never changed or removed: they are on record', tg_table_name; end $$;
create trigger on_record before update or delete on mode_switches
    for each statement execute function refuse_to_change_a_record();

-- Dead letters leave in every mode, past everything that is held back.
create index outbox_letters on outbox (shard, id) where account_id is null and case_id is null;
