SELECT "TimeGenerated" - "TimeGenerated" % 3000000000 AS t, "AppRoleName", count(*) FROM app WHERE "Level" IN ('Error', 'Warning') GROUP BY ALL
