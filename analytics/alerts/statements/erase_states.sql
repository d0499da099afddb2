-- Take out where each rule stands about a tenant.
DELETE FROM states WHERE tenant_id = :tenant_id
