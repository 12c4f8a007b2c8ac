-- State that several accounts share, with keys of its own: today the attempts to charge one card, which networks limit
-- over all accounts and invoices. A service that shares nothing has no rows. A row without state was locked, but never
-- written. It decides nothing any more after `kept_until`.
create table shared (
    key        text collate "C" primary key,
    state      jsonb,
    kept_until timestamptz,
    constraint what_is_kept_has_an_end check ((state is null) = (kept_until is null))
) with (fillfactor = 60);
