-- The services completed in the period, whatever their status; one row per service.
-- A service without completed_at belongs to no month: it is returned every time. If its status is billable, it is
-- reported; otherwise the pipeline drops it.
-- :period_start and :period_end are bound as text, '2026-09-30T22:00:00Z'; the period is half-open.
--
-- Instants are text in SQLite: ISO 8601 with Z or an offset, which julianday() understands. It rounds to
-- milliseconds, and takes a time without a zone for UTC. Hence a second more on each side, 14 hours more for a
-- time without a zone, and always what cannot be read: the pipeline draws the exact edge, and reports the others.
SELECT
    service_id,
    customer_number,
    service_code,     -- article number in EASY Bill
    service_name,
    description,
    status,           -- the rules say which are billable
    sub_status,
    completed_at,     -- '2026-10-14T08:30:00+02:00' or '2026-10-14T06:30:00Z'
    cancelled_at,
    quantity,         -- decimal text, at most three decimals; never a float
    unit,
    unit_price_net,   -- decimal text, at most two decimals; NULL: no price maintained
    vat_percent,      -- '19' or '19.00' for 19 %
    currency,
    cost_center,
    location,
    provider,
    updated_at
FROM services
WHERE CASE
          WHEN julianday(completed_at) IS NULL
              OR completed_at NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
              THEN TRUE
          WHEN completed_at GLOB '*[Zz]' OR completed_at GLOB '*[+-][0-9][0-9]:[0-9][0-9]'
              THEN julianday(completed_at) >= julianday(:period_start, '-1 second')
                  AND julianday(completed_at) < julianday(:period_end, '+1 second')
          ELSE julianday(completed_at) >= julianday(:period_start, '-14 hours')
              AND julianday(completed_at) < julianday(:period_end, '+14 hours')
      END
