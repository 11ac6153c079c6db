-- Each invoice is a service. Chinook keeps local times without zone: here they are read as Berlin's, knowingly.
SELECT
    'INV-' || invoice_id AS service_id,
    lpad(customer_id::text, 5, '0') AS customer_number,
    'TRACKS' AS service_code,
    'Music tracks' AS service_name,
    NULL AS description,
    'completed' AS status,
    NULL AS sub_status,
    invoice_date AT TIME ZONE 'Europe/Berlin' AS completed_at,
    NULL AS cancelled_at,
    1 AS quantity,
    'lot' AS unit,
    total AS unit_price_net,
    0 AS vat_percent,
    'USD' AS currency,
    NULL AS cost_center,
    billing_city AS location,
    NULL AS provider,
    invoice_date AT TIME ZONE 'Europe/Berlin' AS updated_at
FROM invoice
WHERE invoice_date AT TIME ZONE 'Europe/Berlin' >= :period_start
  AND invoice_date AT TIME ZONE 'Europe/Berlin' < :period_end;
