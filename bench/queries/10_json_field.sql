SELECT "Properties" ->> '$.region' AS r, count(*) FROM app GROUP BY r
