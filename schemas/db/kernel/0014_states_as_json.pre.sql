-- A state is written and read as a whole, and always by its key: to take it apart at each write and put it together at each
-- read, as jsonb does, was a fifth of what PostgreSQL did. Only where nothing was ever read: on tables with millions of rows
-- everybody would wait for minutes, and the former version writes jsonb. The services take either.
do $$
begin
    if not exists (select from offsets) and not exists (select from accounts) then
        alter table accounts alter column state type json;
        alter table cases alter column state type json;
        alter table shared alter column state type json;
    end if;
end
$$;
