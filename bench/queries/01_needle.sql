SELECT "TimeGenerated", "Message" FROM app WHERE regexp_matches("Message", '(?i)NEEDLE-app-05') AND regexp_matches("Message", '(?i)(^|[^\pL\pN])NEEDLE-app-05([^\pL\pN]|$)')
