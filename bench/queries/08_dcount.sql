SELECT "AppRoleName", count(DISTINCT "UserId") FROM app GROUP BY ALL
