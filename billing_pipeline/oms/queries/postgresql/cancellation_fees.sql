-- The fees charged in the period; one row per fee. A fee of 0.00 is waived.
-- A fee without an instant belongs to no month: it is returned every time, and reported.
SELECT
    cancellation_fees.fee_id,
    cancellation_fees.service_id,       -- the cancelled service, where there is one
    cancellation_fees.customer_number,
    cancellation_fees.fee_type,         -- 'late_cancellation', 'no_show', ...
    cancellation_fees.description,
    cancellation_fees.amount_net,
    cancellation_fees.vat_percent,
    cancellation_fees.currency,
    cancellation_fees.charged_at,
    cancellation_fees.updated_at,
    services.service_name,              -- these two are for the title; a query of your own may leave them out
    services.cancelled_at
FROM cancellation_fees
LEFT JOIN services ON services.service_id = cancellation_fees.service_id
WHERE (charged_at >= :period_start AND charged_at < :period_end)
   OR charged_at IS NULL
