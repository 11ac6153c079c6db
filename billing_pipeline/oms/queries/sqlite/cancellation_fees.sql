-- The fees charged in the period, chosen as in services.sql; one row per fee. A fee of 0.00 is waived.
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
WHERE CASE
          WHEN julianday(charged_at) IS NULL
              OR charged_at NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
              THEN TRUE
          WHEN charged_at GLOB '*[Zz]' OR charged_at GLOB '*[+-][0-9][0-9]:[0-9][0-9]'
              THEN julianday(charged_at) >= julianday(:period_start, '-1 second')
                  AND julianday(charged_at) < julianday(:period_end, '+1 second')
          ELSE julianday(charged_at) >= julianday(:period_start, '-14 hours')
              AND julianday(charged_at) < julianday(:period_end, '+14 hours')
      END
