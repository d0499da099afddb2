-- Where does every scope of every rule stand, overall first?
SELECT rule, tenant_id, state, observation, observed_at
FROM states
ORDER BY rule, tenant_id NULLS FIRST
