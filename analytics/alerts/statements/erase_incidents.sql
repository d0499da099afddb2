-- Take out every incident of a tenant.
DELETE FROM incidents WHERE tenant_id = :tenant_id
