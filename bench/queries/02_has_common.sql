SELECT "Level", count(*) FROM app WHERE regexp_matches("Message", '(?i)timeout') AND regexp_matches("Message", '(?i)(^|[^\pL\pN])timeout([^\pL\pN]|$)') GROUP BY ALL
