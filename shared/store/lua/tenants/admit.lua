--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, requests, units, pixels. Counts them against the tenant's limits; returns as charge or too_large do.
return too_large(tonumber(ARGV[5])) or charge(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
