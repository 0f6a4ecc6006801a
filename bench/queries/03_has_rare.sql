SELECT "AppRoleName", count(*) FROM app WHERE regexp_matches("Message", '(?i)quasarfault') AND regexp_matches("Message", '(?i)(^|[^\pL\pN])quasarfault([^\pL\pN]|$)') GROUP BY ALL
