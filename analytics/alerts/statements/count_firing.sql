-- How many incidents of a tenant are not over?
SELECT count(*) FROM incidents WHERE tenant_id = :tenant_id AND resolved_at IS NULL
