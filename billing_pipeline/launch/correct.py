"""Makes and delivers a correction through Dagster, with the records of any other file."""

from billing_pipeline.defs.build import build_defs
from billing_pipeline.delivery.ledger.events import require_signature
from billing_pipeline.launch.instance import open_instance
from billing_pipeline.launch.run_month import deliver_in_process, status_now
from billing_pipeline.oms.period import period_of
from billing_pipeline.settings import Settings
from billing_pipeline.steps.correction import Corrected, NothingToCorrect, nothing_left, work_out_correction
from billing_pipeline.steps.remove_draft import drafts_to_remove, remove_draft
from billing_pipeline.steps.seal import seal_month
from billing_pipeline.steps.wiring import Progress, build_wiring
from billing_pipeline.steps.withdrawal import take_back


def correct_month(
    settings: Settings,
    month: str,
    customer_number: str,
    *,
    reason: str,
    author: str,
    progress: Progress,
    remove_drafts: bool = False,
) -> Corrected:
    """Makes and delivers the next revision of a customer's month; `remove_drafts` first deletes what it replaces.

    Raises: UsageError without reason or author; NothingToCorrect; the errors of reading OMS, ledger and store.
    """
    require_signature(reason, author)
    period_of(month, settings.timezone)
    wiring = build_wiring(settings, progress)
    wiring.channel.open()
    replaced = drafts_to_remove(wiring, month, customer_number) if remove_drafts else []
    if remove_drafts:
        wiring.easybill.require()
    try:
        draft = work_out_correction(wiring, month, customer_number)
    except NothingToCorrect:
        standing = wiring.ledger.open().deliveries.last_sent(month).get(customer_number)
        if not replaced or standing is None:
            raise
        removed = tuple(remove_draft(wiring, one, reason=reason, author=author) for one in replaced)
        return Corrected(standing, removed=removed, is_unchanged=True)
    if draft.changes is None and not draft.nothing_left:
        return Corrected(draft.replaced, problems=draft.problems)
    # Before the new file is published: two files of one month must never lie in the inbox side by side.
    taken_back = take_back(wiring, draft.replaced, reason=reason, author=author)
    removed = ()
    if remove_drafts:
        replaced += [] if taken_back else [draft.replaced]
        removed = tuple(remove_draft(wiring, one, reason=reason, author=author) for one in replaced)
    if draft.changes is None:
        seal_month(wiring.ledger.open(), wiring.blobs, month)
        problems = () if taken_back or removed else (nothing_left(draft.replaced),)
        return Corrected(draft.replaced, problems=problems, taken_back=taken_back, removed=removed)
    billing = draft.keep(wiring)
    with open_instance(settings) as instance:
        error = deliver_in_process(
            wiring,
            build_defs(settings, resources=wiring.as_resources()),
            instance,
            [customer_number],
            month=month,
            customers_per_run=settings.customers_per_run,
            config={
                "billing": billing.id,
                "correction": {"reason": reason, "author": author},
                "before_end": True,
            },
            only_these=True,
        )
    status = status_now(wiring, month).only([customer_number]).customers[0]
    return Corrected(draft.replaced, draft.changes, status, status.problems, error, taken_back, removed)
