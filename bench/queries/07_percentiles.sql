SELECT "AppRoleName", quantile_disc("DurationMs", 0.5), quantile_disc("DurationMs", 0.95), quantile_disc("DurationMs", 0.99) FROM app GROUP BY ALL
