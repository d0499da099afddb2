-- Where do the scopes of a rule stand?
SELECT tenant_id, state FROM states WHERE rule = :rule
