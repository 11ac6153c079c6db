-- The tasks of the period's services, chosen as in services.sql. They describe a service; their prices are part
-- of its price.
SELECT
    service_id,
    position,         -- their order within the service
    task_name,
    price_net
FROM service_tasks
WHERE service_id IN (
    SELECT service_id
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
)
