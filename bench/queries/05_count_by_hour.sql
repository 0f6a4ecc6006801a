SELECT "TimeGenerated" - "TimeGenerated" % 36000000000 AS t, count(*) FROM app GROUP BY t
