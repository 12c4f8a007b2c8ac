"""`dunning policy mail`: a notice as a customer would read it, before anybody is written to."""

from typing import Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.templates import TEMPLATE_DIR, known_templates, own_templates

UNWRITABLE = "DUN-S004"


def mail(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Such as suspension_warning, or one of yours.")],
    locale: Annotated[str, typer.Option("--locale", help="The customer's language, such as de-AT.")] = "en",
    html: Annotated[bool, typer.Option("--html", help="Write only the HTML part, for a browser.")] = False,
) -> None:
    """Print the mail of a template about an example invoice: the words, and below them the sender, the footer and the
    opt-out line that DUNNING_MAIL_SENDER_NAME, DUNNING_MAIL_FOOTER and DUNNING_MAIL_OPT_OUT_URL say.

    Example: DUNNING_TEMPLATE_DIR=templates dunning policy mail suspension_warning --locale de
    """
    from dunning.runtime.settings import load_settings
    from notification_dispatcher.channels.settings import EmailSettings
    from notification_dispatcher.templates import Letterhead, RenderingError, Wording, render
    from notification_dispatcher.templates.checking import example_order

    own = own_templates()
    if own is not None and not own.is_dir():
        raise CommandError(UNWRITABLE, f"{TEMPLATE_DIR}: {own} is no directory that can be read")
    settings = load_settings(EmailSettings)
    letterhead = Letterhead(settings.mail_sender_name, settings.mail_footer, settings.mail_opt_out_url)
    known = known_templates()
    if template not in known:
        raise CommandError(UNWRITABLE, f'no template "{template}"; there are {", ".join(sorted(known))}')
    try:
        written = render(example_order(template, locale), letterhead, Wording(own))
    except RenderingError as error:
        raise CommandError(UNWRITABLE, f"{error}; `dunning policy lint` says what is wrong with yours") from None
    if html:
        print(written.html, end="")
        return
    print(f"From: {settings.mail_sender_name} <{settings.mail_sender_address}>\nSubject: {written.subject}\n")
    print(written.text, end="")
