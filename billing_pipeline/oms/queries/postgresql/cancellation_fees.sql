-- The fees charged in the period; one row per fee. A fee of 0.00 is waived.
-- A fee without an instant belongs to no month: it is returned every time, and reported.
SELECT
    fee_id,
    service_id,       -- the cancelled service, where there is one
    customer_number,
    fee_type,         -- 'late_cancellation', 'no_show', ...
    description,
    amount_net,
    vat_percent,
    currency,
    charged_at,
    updated_at
FROM cancellation_fees
WHERE (charged_at >= :period_start AND charged_at < :period_end)
   OR charged_at IS NULL
