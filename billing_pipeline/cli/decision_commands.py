"""The commands by which people decide: what is left out, what is added, what is sent again, what is held no longer.

And `explain`, on which they decide. Thin, as `cli` is: each decision is made, and kept with author, reason and time,
in the ledger, and shown by `log`.
"""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import typer

from billing_pipeline.cli.help_text import DECISIONS, LOOK_INTO_IT, WHEN_RED, add_command, examples
from billing_pipeline.cli.options import (
    ALL_WELL,
    NEEDS_A_PERSON,
    AsJson,
    By,
    Customer,
    Month,
    Reason,
    language_of,
    print_json,
    print_lines,
)
from billing_pipeline.problems import UsageError

omit = typer.Typer(
    no_args_is_help=True, help="Leave a customer, a service or a fee out, of one month or for good."
)
adjust = typer.Typer(
    no_args_is_help=True, help="Add a row to a customer's month, and change it until billed."
)

Id = Annotated[int, typer.Argument(metavar="ID", help="The number that `list` shows.")]
ALWAYS = "always"


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    because = '--reason "..." --by "A. Accountant"'
    add_command(app, LOOK_INTO_IT, explain, "explain 2026-10-10023", "explain 2026-10-10023 2")
    add_command(app, WHEN_RED, correct, f"correct 2026-10 --customer 10023 {because}")
    add_command(app, WHEN_RED, release, f"release 2026-10-10023 --as delivered {because}")
    add_command(app, WHEN_RED, reconcile, f"reconcile {because}")
    add_command(
        app,
        WHEN_RED,
        admit,
        f"admit 2026-10 --customer 10023 --service SV-1 {because}",
        f"admit --renamed {because}",
    )
    number = "--customer 10023"
    add_command(omit, None, omit_add, f"omit add 2026-10 {number} {because}", name="add")
    add_command(omit, None, omit_list, "omit list", name="list")
    add_command(omit, None, omit_remove, f"omit remove 3 {because}", name="remove")
    row = '--title "Discount" --quantity 1 --price=-10.00 --vat 19'
    add_command(adjust, None, adjust_add, f"adjust add 2026-10 {number} {row} {because}", name="add")
    add_command(adjust, None, adjust_list, "adjust list 2026-10", name="list")
    add_command(adjust, None, adjust_edit, f"adjust edit 3 --price=-12.00 {because}", name="edit")
    add_command(adjust, None, adjust_delete, f"adjust delete 3 {because}", name="delete")
    add_command(adjust, None, adjust_undo, f"adjust undo 3 {because}", name="undo")
    listed = {"omit": "omit list", "adjust": "adjust list 2026-10"}
    for name, inner in (("omit", omit), ("adjust", adjust)):
        app.add_typer(inner, name=name, rich_help_panel=DECISIONS, epilog=examples(listed[name]))


def explain(
    order_number: Annotated[str, typer.Argument(metavar="ORDER_NUMBER", help="As on the invoice.")],
    line: Annotated[int | None, typer.Argument(metavar="[LINE]", help="Its place on the invoice.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which OMS rows, price and rounding each line of an order came from, whatever the OMS says now."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.explain import explain_order

    explained = explain_order(load_settings(), order_number, line)
    if as_json:
        print_json(explained.as_json())
    else:
        print_lines(explained.lines())


def correct(
    month: Month,
    customer: Customer,
    reason: Reason,
    by: By,
    remove_draft: Annotated[
        bool,
        typer.Option(
            "--remove-draft",
            help="First delete the draft that is replaced, over EASY Bill's API, if it is ours.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a customer's month again, from what the OMS says now, as the next revision of what was sent."""
    from billing_pipeline.launch.correct import correct_month
    from billing_pipeline.progress import progress_on
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    with progress_on(sys.stderr) as progress:
        corrected = correct_month(
            settings,
            month,
            customer,
            reason=reason,
            author=by,
            progress=progress,
            remove_drafts=remove_draft,
        )
    if as_json:
        print_json(corrected.as_json())
    else:
        print_lines(corrected.lines(language_of(settings)))
    if corrected.error is not None:
        raise corrected.error
    raise typer.Exit(ALL_WELL if corrected.is_settled else NEEDS_A_PERSON)


def release(
    order_number: Annotated[str, typer.Argument(metavar="ORDER_NUMBER")],
    as_: Annotated[
        Literal["send", "delivered", "withdrawn"],
        typer.Option(
            "--as",
            help="send: it was not received, send it after all. delivered: it was, or stands as it was sent. "
            "withdrawn: neither its file nor its draft is there any more.",
        ),
    ],
    reason: Reason,
    by: By,
) -> None:
    """Resolve what is held, once somebody has looked into the inbox; or undo a delivery that has gone."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.seal import seal_month
    from billing_pipeline.steps.wiring import build_wiring
    from billing_pipeline.steps.withdrawal import require_gone, withdraw_order
    from billing_pipeline.store.blobs import BlobStore

    settings = load_settings()
    if as_ == "withdrawn":
        wiring = build_wiring(settings)
        withdrawn = withdraw_order(wiring, order_number, reason=reason, author=by)
        seal_month(wiring.ledger.open(), wiring.blobs, withdrawn.month)
        if withdrawn.state == "WITHDRAWN":
            command = f"billing-pipeline run {withdrawn.month} --customer {withdrawn.customer_number}"
            typer.echo(f"{order_number} is withdrawn, its rows are free: `{command}` bills them anew")
        else:
            typer.echo(f"{order_number} is noted as gone: a later order replaces it")
        return
    if as_ == "send":
        require_gone(build_wiring(settings), order_number)
    ledger = open_ledger(settings.ledger_url_or_default)
    delivery = ledger.releases.release(order_number, as_=as_, reason=reason, author=by)
    seal_month(ledger, BlobStore(settings.store_url_or_default), delivery.month)
    if as_ == "send":
        command = f"billing-pipeline run {delivery.month} --customer {delivery.customer_number}"
        typer.echo(f"{order_number} is no longer held: `{command}` sends it")
    else:
        typer.echo(f"{order_number} counts as delivered, as it was sent")


def reconcile(reason: Reason, by: By, as_json: AsJson = False) -> None:
    """Look at the files in the inbox that the ledger does not know, so that sending may go on."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.reconcile import reconcile_inbox

    looked_at = reconcile_inbox(load_settings(), reason=reason, author=by)
    if as_json:
        print_json({"files": [one.as_json() for one in looked_at]})
    elif looked_at:
        print_lines(one.line() for one in looked_at)
    else:
        typer.echo("the ledger knows every file of ours in the inbox")


def admit(
    reason: Reason,
    by: By,
    month: Annotated[str, typer.Argument(metavar="[MONTH]", help="The month of the rows, as YYYY-MM.")] = "",
    customer: Annotated[str, typer.Option("--customer", metavar="N", help="The customer number.")] = "",
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="ID", help="Of these services; may be repeated.")
    ] = None,
    fee: Annotated[
        list[str] | None, typer.Option("--fee", metavar="ID", help="Of these fees; may be repeated.")
    ] = None,
    same_as: Annotated[
        str, typer.Option("--same-as", metavar="OLD_ID", help="It is this billed row under another id.")
    ] = "",
    renamed: Annotated[
        bool, typer.Option("--renamed", help="Billed rows have new ids: pair all that are one to one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let rows be billed that were set aside, all of a customer's month or those that are named."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.admit import admit_renamed, admit_rows
    from billing_pipeline.steps.wiring import build_wiring

    wiring = build_wiring(load_settings())
    if renamed:
        if month or customer or service or fee or same_as:
            raise UsageError(
                "--renamed looks at all months and customers: give it alone, with --reason and --by"
            )
        admitted = admit_renamed(wiring, reason=reason, author=by)
    elif not month or not customer:
        raise UsageError("admit needs a MONTH and --customer N, or --renamed")
    else:
        admitted = admit_rows(
            wiring,
            month,
            customer,
            services=service or (),
            fees=fee or (),
            same_as=same_as,
            reason=reason,
            author=by,
        )
    if as_json:
        print_json({"admitted": [one.as_json() for one in admitted]})
    elif admitted:
        print_lines(one.line() for one in admitted)
    else:
        typer.echo("no billed row has gone for which there is just one new row that is the same")


def omit_add(
    month: Annotated[str, typer.Argument(metavar="MONTH|always", help="YYYY-MM, or always.")],
    reason: Reason,
    by: By,
    customer: Annotated[str, typer.Option("--customer", metavar="N")] = "",
    service: Annotated[str, typer.Option("--service", metavar="ID", help="Its fees are left out too.")] = "",
    fee: Annotated[str, typer.Option("--fee", metavar="ID", help="A cancellation fee alone.")] = "",
) -> None:
    """Leave a customer, a service or a fee out of a month or for good. It is counted, and shown with its reason."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import omission_line
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.outdated import billing_orders

    settings = load_settings()
    if month != ALWAYS:
        _require_month(month, settings.timezone, settings.first_month)
    ledger = open_ledger(settings.ledger_url_or_default)
    added = ledger.omissions.add(
        month=None if month == ALWAYS else month,
        customer_number=customer,
        service_id=service,
        fee_id=fee,
        reason=reason,
        author=by,
    )
    typer.echo(omission_line(added))
    for order_number in billing_orders(ledger, added):
        typer.echo(
            f"order {order_number} has billed it, and stands: the omission takes effect with the next correction",
            err=True,
        )


def omit_list(
    everything: Annotated[bool, typer.Option("--all", help="Those that were removed, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the omissions in force."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import omission_json, omission_line
    from billing_pipeline.settings import load_settings

    omissions = open_ledger(load_settings().ledger_url_or_default).omissions.current(removed=everything)
    if as_json:
        print_json({"omissions": [omission_json(one) for one in omissions]})
    elif omissions:
        print_lines(map(omission_line, omissions))
    else:
        typer.echo("there has been no omission" if everything else "no omission is in force", err=True)


def omit_remove(number: Id, reason: Reason, by: By) -> None:
    """End an omission; the list keeps it as removed."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import omission_line
    from billing_pipeline.settings import load_settings

    ledger = open_ledger(load_settings().ledger_url_or_default)
    typer.echo(omission_line(ledger.omissions.remove(number, reason=reason, author=by)))


def adjust_add(
    month: Month,
    customer: Customer,
    title: Annotated[str, typer.Option("--title", metavar="T", help="The text on the invoice.")],
    quantity: Annotated[str, typer.Option("--quantity", metavar="Q", help="At most 3 decimals.")],
    price: Annotated[str, typer.Option("--price", metavar="P", help="Net, of one; a discount is below 0.")],
    vat: Annotated[str, typer.Option("--vat", metavar="V", help="In percent.")],
    reason: Reason,
    by: By,
    unit: Annotated[str, typer.Option("--unit", metavar="U")] = "",
    item_number: Annotated[str, typer.Option("--item-number", metavar="A", help="The article.")] = "",
) -> None:
    """Add a row to a customer's month, such as a discount or a forgotten item, in the customer's currency."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import adjustment_line
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.real_customer import require_real_customer
    from billing_pipeline.steps.wiring import build_wiring

    settings = load_settings()
    _require_month(month, settings.timezone, settings.first_month)
    require_real_customer(build_wiring(settings).oms, customer)
    added = open_ledger(settings.ledger_url_or_default).adjustments.add(
        month=month,
        customer_number=customer,
        title=title,
        quantity=_number("--quantity", quantity),
        unit_price_net=_number("--price", price),
        vat_percent=_number("--vat", vat),
        unit=unit,
        item_number=item_number,
        reason=reason,
        author=by,
    )
    typer.echo(adjustment_line(added, language_of(settings)))


def adjust_list(
    month: Month,
    everything: Annotated[bool, typer.Option("--all", help="Those that were deleted, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the adjustments of a month as they stand, and which order bills them."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.oms.period import period_of
    from billing_pipeline.report.decision_text import adjustment_json, adjustment_line
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    period_of(month, settings.timezone)
    ledger = open_ledger(settings.ledger_url_or_default)
    listed = ledger.adjustments.of_month(month, deleted=everything)
    orders = {
        row.source_id: row.order_number
        for row in ledger.billed.rows([month])
        if row.source_kind == "adjustment"
    }
    if as_json:
        found = [adjustment_json(one, orders.get(str(one.id), "")) for one in listed]
        print_json({"month": month, "adjustments": found})
    elif not listed:
        typer.echo(f"{month} has no adjustment", err=True)
    else:
        language = language_of(settings)
        print_lines(adjustment_line(one, language, orders.get(str(one.id), "")) for one in listed)


def adjust_edit(
    number: Id,
    reason: Reason,
    by: By,
    title: Annotated[str | None, typer.Option("--title", metavar="T")] = None,
    quantity: Annotated[str | None, typer.Option("--quantity", metavar="Q")] = None,
    price: Annotated[str | None, typer.Option("--price", metavar="P")] = None,
    vat: Annotated[str | None, typer.Option("--vat", metavar="V")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="U")] = None,
    item_number: Annotated[str | None, typer.Option("--item-number", metavar="A")] = None,
) -> None:
    """Change what is given of an adjustment that is not billed yet."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import adjustment_line
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    edited = open_ledger(settings.ledger_url_or_default).adjustments.edit(
        number,
        title=title,
        quantity=None if quantity is None else _number("--quantity", quantity),
        unit_price_net=None if price is None else _number("--price", price),
        vat_percent=None if vat is None else _number("--vat", vat),
        unit=unit,
        item_number=item_number,
        reason=reason,
        author=by,
    )
    typer.echo(adjustment_line(edited, language_of(settings)))


def adjust_delete(number: Id, reason: Reason, by: By) -> None:
    """Mark an adjustment that is not billed yet as deleted; `undo` brings it back."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import adjustment_line
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    changed = open_ledger(settings.ledger_url_or_default).adjustments.delete(number, reason=reason, author=by)
    typer.echo(adjustment_line(changed, language_of(settings)))


def adjust_undo(number: Id, reason: Reason, by: By) -> None:
    """Make an adjustment that is not billed yet what it was before its last change."""
    from billing_pipeline.delivery.ledger import open_ledger
    from billing_pipeline.report.decision_text import adjustment_line
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    changed = open_ledger(settings.ledger_url_or_default).adjustments.undo(number, reason=reason, author=by)
    typer.echo(adjustment_line(changed, language_of(settings)))


def _require_month(month: str, timezone: str, first_month: str) -> None:
    """Raises UsageError for what is no month, or one that does not exist here."""
    from billing_pipeline.oms.period import period_of

    period_of(month, timezone)
    if month < first_month:
        raise UsageError(f"{month} lies before BILLING_FIRST_MONTH={first_month}: nothing of it is billed")


def _number(option: str, text: str) -> Decimal:
    """Raises UsageError for what is no decimal number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{option} {text!r} is not a number: write 1234.50") from None
