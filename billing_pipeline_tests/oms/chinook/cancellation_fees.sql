-- Chinook knows no cancellations.
SELECT
    NULL AS fee_id, NULL AS service_id, NULL AS customer_number, NULL AS fee_type, NULL AS description,
    NULL AS amount_net, NULL AS vat_percent, NULL AS currency, NULL AS charged_at, NULL AS updated_at
WHERE false;
