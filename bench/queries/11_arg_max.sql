SELECT "AppRoleInstance", max("TimeGenerated"), arg_max("Level", "TimeGenerated"), arg_max("Message", "TimeGenerated") FROM app GROUP BY ALL
