-- Drop a scope about which there is nothing to remember.
DELETE FROM states WHERE rule = :rule AND scope = :scope
