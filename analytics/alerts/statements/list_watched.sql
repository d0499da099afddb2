-- Which scopes are stored, of which rules?
SELECT rule, tenant_id FROM states
