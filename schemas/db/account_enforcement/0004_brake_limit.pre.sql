-- What DUNNING_MAX_RESTRICTIONS_PER_DAY says where the services run, for whoever looks from elsewhere; null: the default.
alter table brake add column limit_set bigint;
