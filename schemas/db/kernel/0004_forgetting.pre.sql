-- What may be forgotten when its time is over (rule 9). `closed_at` is when a row was last written as one that is not open,
-- and null while it is; `kept_longer` says that the invoice had a case, or was voided.
alter table cases
    add column closed_at   timestamptz,
    add column kept_longer boolean not null default false,
    add constraint only_what_is_not_open_was_closed check (closed_at is null or not is_open);

-- Rows from before count from now on; how long they were closed nobody wrote down.
update cases set closed_at = now(), kept_longer = true where not is_open;

-- New entries come at the right end of each half and old ones leave at the left, so it stays small to write. Rows of open
-- cases are not in it.
create index cases_by_closing on cases (kept_longer, closed_at) where closed_at is not null;

-- Old sightings are found by walking the table from its first block to its last, again and again: freed space is filled
-- anew, so ranges of blocks soon hold every age, and this index would find all of them.
drop index inbox_by_age;
alter table inbox set (autovacuum_vacuum_scale_factor = 0.05);
