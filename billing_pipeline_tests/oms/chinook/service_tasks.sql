-- Each line of an invoice is a task of its service.
SELECT
    'INV-' || l.invoice_id AS service_id,
    row_number() OVER (PARTITION BY l.invoice_id ORDER BY l.invoice_line_id) AS position,
    t.name AS task_name,
    l.unit_price * l.quantity AS price_net
FROM invoice_line AS l
JOIN invoice AS i ON i.invoice_id = l.invoice_id
JOIN track AS t ON t.track_id = l.track_id
WHERE i.invoice_date AT TIME ZONE 'Europe/Berlin' >= :period_start
  AND i.invoice_date AT TIME ZONE 'Europe/Berlin' < :period_end;
