-- Take out what was or is to be told of a tenant; before its incidents, which these refer to.
DELETE FROM outbox
WHERE fingerprint IN (SELECT fingerprint FROM incidents WHERE tenant_id = :tenant_id)
