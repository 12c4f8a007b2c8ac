-- Who moved the place that a partition is read from, and why: `dunning offsets set`, where the log no longer holds what was
-- to be read next. Nothing else ever moves it but reading.
create table offset_moves (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default clock_timestamp(),
    topic       text not null,
    partition   integer not null,
    from_offset bigint,
    to_offset   bigint not null,
    by_name     text not null,
    reason      text not null,
    constraint a_move_has_a_reason check (reason <> '')
);
create trigger on_record before update or delete on offset_moves
    for each statement execute function refuse_to_change_a_record();
