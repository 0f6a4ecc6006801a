SELECT "TimeGenerated", "Level", "Message" FROM app ORDER BY "TimeGenerated" DESC LIMIT 100
