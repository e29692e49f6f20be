-- ARGV: prefix, tenant, requests, units. Counts them against the tenant's limits; returns as charge does.
return charge(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
