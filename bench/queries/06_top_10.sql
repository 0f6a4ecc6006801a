SELECT "OperationName", count(*) AS n FROM app GROUP BY ALL ORDER BY n DESC LIMIT 10
