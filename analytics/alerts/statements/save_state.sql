-- Keep where a scope stands, and what was last seen of it.
INSERT INTO states (rule, scope, tenant_id, state, observation, observed_at)
VALUES (:rule, :scope, :tenant_id, :state, :observation, :at)
ON CONFLICT (rule, scope) DO UPDATE SET
    state = excluded.state, observation = excluded.observation, observed_at = excluded.observed_at
