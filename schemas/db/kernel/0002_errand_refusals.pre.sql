-- How often the other side said no to an errand for the moment. A server that is away says nothing, so the number of tries
-- cannot tell when an errand has failed (promise 10).
alter table errands add column refusals integer not null default 0;
