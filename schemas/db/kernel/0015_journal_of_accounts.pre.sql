-- What belongs to a case is looked for by the case; by the account only what belongs to none. An index of all was one random
-- page more for each event, most of what an event costs where there are millions of cases. The former version's queries ask
-- for the same rows. Made before the other one goes: until then everybody may read.
create index journal_of_accounts on journal (account_id, id) where case_id is null;
drop index journal_by_account;
