-- What the brake's default limit rests on, reckoned from time to time instead of at every step: how many accounts were newly
-- restricted on each day that is over, and the busiest of these. A day is counted once.
create table restriction_days (
    day        date primary key,
    restricted bigint not null
);
alter table brake add column busiest_day bigint not null default 0;
