-- What the retry track shows of a case. A row without case_id remembers an invoice that has no case now.
alter table cases
    add column case_id        text collate "C",
    add column number         integer,
    add column stage          text not null,
    add column answer_by      timestamptz,
    add column amount_minor   bigint,
    add column currency       text,
    add column policy_id      text,
    add column policy_version integer,
    add constraint stage_is_known check (
        stage in ('none', 'scheduled', 'requested', 'waiting_for_customer', 'paused', 'recovered', 'exhausted', 'cancelled')
    ),
    add constraint requested_has_deadline   check ((stage = 'requested') = (answer_by is not null)),
    add constraint closed_has_no_timer      check (is_open or due_at is null),
    add constraint open_has_a_case          check (not is_open or case_id is not null),
    add constraint case_has_a_number        check ((case_id is null) = (number is null)),
    add constraint amount_has_a_currency    check ((amount_minor is null) = (currency is null)),
    add constraint policy_has_a_version     check ((policy_id is null) = (policy_version is null));
create index cases_by_case_id on cases (case_id) where case_id is not null;
