SELECT t, count(*) AS n FROM (SELECT regexp_extract("Message", '(\d+\.\d+) ms', 1) AS t FROM app WHERE "Level" = 'Warning') WHERE t <> '' GROUP BY t ORDER BY n DESC LIMIT 10
