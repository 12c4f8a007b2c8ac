-- What operators ordered for dead letters (rule 5): to replay one, corrected or not, or to discard it; who, when and why;
-- and what became of it. A dead letter is named by its place in `<topic>.<service>.dlq`, its topic without prefix.
--
-- The message itself is kept only until the replay was taken: its bytes stay in the dead letters' topic, and no copy of
-- personal data outlives what it was made for. `body_sha256` tells afterwards which body it was.
create table dead_letter_orders (
    id             bigint generated always as identity primary key,
    kind           text not null,
    topic          text collate "C" not null,
    dlq_partition  integer not null,
    dlq_offset     bigint not null,
    set_aside_for  text not null,
    given_by       text not null,
    given_at       timestamptz not null,
    why            text not null default '',
    masked         boolean not null default false,
    corrected      boolean not null default false,
    key            bytea,
    headers        bytea,
    body           bytea,
    body_sha256    text,
    outcome        text,
    outcome_reason text not null default '',
    outcome_detail text not null default '',
    done_at        timestamptz,
    constraint kind_is_known                 check (kind in ('replay', 'discard')),
    constraint outcome_is_known              check (
        outcome in ('applied', 'duplicate', 'passed_over', 'set_aside', 'discarded')
    ),
    constraint done_has_a_time               check ((outcome is null) = (done_at is null)),
    constraint done_keeps_no_message         check (outcome is null or (key is null and headers is null and body is null)),
    constraint only_a_replay_waits           check (outcome is not null or kind = 'replay'),
    constraint masked_is_replayed_corrected  check (kind <> 'replay' or corrected or not masked)
);
-- A dead letter is replayed once: a second order finds this one in its way, until it failed (rule 5).
create unique index one_replay_of_a_dead_letter on dead_letter_orders (topic, dlq_partition, dlq_offset)
    where kind = 'replay' and (outcome is null or outcome in ('applied', 'duplicate'));
create index dead_letter_orders_waiting on dead_letter_orders (id) where outcome is null;
create index dead_letter_orders_by_letter on dead_letter_orders (topic, dlq_partition, dlq_offset, id);
