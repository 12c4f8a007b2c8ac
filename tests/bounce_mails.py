"""Mails as they come to a box for bounces, the way that common servers write them."""

NOTICE_ID = "5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11"

RETURNED = f"""\
Return-Path: <billing@acme.example>
From: "Acme Billing" <billing@acme.example>
To: "Jane Doe" <jane@example.com>
Subject: Your payment for invoice 2026-0017 did not go through
Date: Thu, 01 Oct 2026 10:00:00 +0000
Message-ID: <{NOTICE_ID}@acme.example>
Auto-Submitted: auto-generated
X-Dunning-Notice-Id: {NOTICE_ID}
X-Dunning-Case-Id: 0b1f7c52-7a61-5b8e-8f7e-6f2d5c3b2a10
X-Dunning-Account: acct%2F1%20%C3%BC
X-Dunning-Invoice: in_1
X-Dunning-Rung: payment_failed
"""

RECIPIENT = """\
Final-Recipient: rfc822; jane@example.com
Original-Recipient: rfc822;jane@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 550 5.1.1 <jane@example.com>: Recipient address
    rejected: User unknown in virtual mailbox table
"""

POSTFIX = """\
Return-Path: <>
Received: by mail.acme.example (Postfix) id 4F1D2C0042; Thu,  1 Oct 2026 12:00:04 +0200 (CEST)
Date: Thu,  1 Oct 2026 12:00:03 +0200 (CEST)
From: MAILER-DAEMON@mail.acme.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: billing@acme.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F1D2C0042.1790848804/mail.acme.example"
Content-Transfer-Encoding: 8bit
Message-Id: <20261001100004.4F1D2C0042@mail.acme.example>

This is a MIME-encapsulated message.

--4F1D2C0042.1790848804/mail.acme.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--4F1D2C0042.1790848804/mail.acme.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.acme.example
X-Postfix-Queue-ID: 4F1D2C0042
Arrival-Date: Thu,  1 Oct 2026 12:00:01 +0200 (CEST)

{recipients}
--4F1D2C0042.1790848804/mail.acme.example
Content-Description: Undelivered Message
Content-Type: {returned_type}

{returned}
--4F1D2C0042.1790848804/mail.acme.example--
"""

EXCHANGE = """\
From: <postmaster@example.com>
To: <billing@acme.example>
Date: Thu, 1 Oct 2026 10:00:09 +0000
Content-Type: multipart/report; boundary=b1_x
X-MS-Exchange-Message-Is-Ndr:
Content-Language: en-US
In-Reply-To: <{notice_id}@acme.example>
References: <{notice_id}@acme.example>
Subject: =?utf-8?B?VW56dXN0ZWxsYmFy?=: Your payment did not go through

--b1_x
Content-Type: multipart/alternative; differences=Content-Type; boundary=b2_x

--b2_x
Content-Type: text/plain; charset="us-ascii"

Your message to jane@example.com couldn't be delivered.
--b2_x--

--b1_x
Content-Type: message/delivery-status

Final-Recipient: rfc822;jane@example.com
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup

--b1_x--
"""

VACATION = """\
From: Jane Doe <jane@example.com>
To: billing@acme.example
Date: Thu, 1 Oct 2026 10:00:09 +0000
Subject: I am away until the 15th
Auto-Submitted: auto-replied
In-Reply-To: <{notice_id}@acme.example>
Content-Type: text/plain

550 5.1.1 is what you will read when I have left for good.
"""


def crlf(text: str) -> bytes:
    """As it travels."""
    return text.replace("\n", "\r\n").encode()


def postfix(recipients: str = RECIPIENT, returned: str = RETURNED, returned_type: str = "message/rfc822") -> bytes:
    """A bounce as Postfix writes it, about a mail of ours unless `returned` says otherwise."""
    return crlf(POSTFIX.format(recipients=recipients, returned=returned, returned_type=returned_type))


def exchange(with_headers: bool) -> bytes:
    """One of Exchange's, which leaves out what the standard asks for: report type, action, the group about the mail."""
    text = EXCHANGE.format(notice_id=NOTICE_ID)
    if with_headers:
        text = text.replace("--b1_x--", f"--b1_x\nContent-Type: text/rfc822-headers\n\n{RETURNED}\n--b1_x--")
    return crlf(text)


def vacation() -> bytes:
    return crlf(VACATION.format(notice_id=NOTICE_ID))


def recipient(action: str = "failed", status: str = "5.1.1", diagnostic: str = "") -> str:
    """The group of one recipient."""
    said = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    return f"Final-Recipient: rfc822; jane@example.com\nAction: {action}\nStatus: {status}\n{said}"
