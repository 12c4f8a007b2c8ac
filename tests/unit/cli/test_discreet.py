"""Nothing personal and nothing that a terminal obeys reaches the screen."""

import pytest

from dunning_cli.discreet import masked, shown, visible, without_addresses, without_people


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@example.com", "a***@example.com"),
        ("+49 170 1234567", "+***"),
        ("@example.com", "***@example.com"),
        ("", ""),
    ],
)
def test_an_address_keeps_what_tells_it_apart(address: str, expected: str) -> None:
    assert masked(address) == expected


def test_addresses_inside_a_sentence_are_shortened() -> None:
    said = "550 5.1.1 <anna.muster@mail.example.com>: no such user (see bob@example.org)"

    assert without_addresses(said) == "550 5.1.1 <a***@mail.example.com>: no such user (see b***@example.org)"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("acct\x1b[31m\x07") == "acct\\x1b[31m\\x07"
    assert shown("one\ntwo\u202e") == "one\\ntwo\\u202e"
    assert visible("Müller 東京\n") == "Müller 東京\n"


@pytest.mark.parametrize(
    ("written", "shown_as"),
    [
        ("Anna Muster, +49 170 1234567", "A***"),
        ([{"name": "Anna Muster"}, "Bob"], [{"name": "A***"}, "B***"]),
        ([[{"phone": "+49 170"}]], [[{"phone": "+***"}]]),
        (4917012345, "4***"),
        (None, None),
    ],
)
def test_a_customer_of_the_wrong_form_which_may_be_why_it_was_set_aside_is_shortened_too(
    written: object, shown_as: object
) -> None:
    assert without_people({"customer": written}) == {"customer": shown_as}


def test_a_customer_is_shortened_wherever_it_is_in_the_data() -> None:
    data = {
        "account_id": "acct-1",
        "customer": {"id": "c-1", "name": "Anna Muster", "email": "anna@example.com", "country": "DE", "phone": None},
        "metadata": {"notes": ["ask bob@example.org", 7]},
    }

    assert without_people(data) == {
        "account_id": "acct-1",
        "customer": {"id": "c-1", "name": "A***", "email": "a***@example.com", "country": "DE", "phone": None},
        "metadata": {"notes": ["ask b***@example.org", 7]},
    }
