-- The services completed in the period, whatever their status; one row per service.
-- A service without completed_at belongs to no month: it is returned every time. If its status is billable, it is
-- reported; otherwise the pipeline drops it.
-- :period_start and :period_end are bound as instants (timestamp with time zone, UTC); the period is half-open.
-- Rows outside it are refused, because another month would bill them once more.
SELECT
    service_id,
    customer_number,
    service_code,     -- article number in EASY Bill
    service_name,
    description,
    status,           -- the rules say which are billable
    sub_status,
    completed_at,     -- timestamp with time zone
    cancelled_at,
    quantity,         -- numeric, at most three decimals; never a float
    unit,
    unit_price_net,   -- numeric, at most two decimals; NULL: no price maintained
    vat_percent,      -- 19 for 19 %
    currency,
    cost_center,
    location,
    provider,
    updated_at
FROM services
WHERE (completed_at >= :period_start AND completed_at < :period_end)
   OR completed_at IS NULL
