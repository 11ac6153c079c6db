-- The tasks of the period's services. They describe a service; their prices are part of its price.
SELECT
    service_id,
    position,         -- their order within the service
    task_name,
    price_net
FROM service_tasks
WHERE service_id IN (
    SELECT service_id
    FROM services
    WHERE (completed_at >= :period_start AND completed_at < :period_end)
       OR completed_at IS NULL
)
