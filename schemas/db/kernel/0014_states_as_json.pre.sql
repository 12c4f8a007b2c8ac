-- A state is written and read as a whole, and always by its key: to take it apart at each write and put it together at each
-- read, as jsonb does, was a fifth of what PostgreSQL did. Only in an installation that is new: on tables with millions of
-- rows everybody would wait for minutes, and the former version can write no new case into such tables. What observes is as
-- new as what it observes. This version takes either.
do $$
declare
    of_service text := regexp_replace(current_schema(), '_observed$', '');
begin
    lock table offsets, accounts in share row exclusive mode;
    if exists (select from offsets) or exists (select from accounts) then
        return;
    end if;
    if of_service <> current_schema() and not exists (
        select from information_schema.columns
        where table_schema = of_service and table_name = 'cases' and column_name = 'state' and udt_name = 'json'
    ) then
        return;
    end if;
    alter table accounts alter column state type json;
    alter table cases alter column state type json;
    alter table shared alter column state type json;
end
$$;
