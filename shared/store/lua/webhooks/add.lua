--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant, most, url, events, secret. The same id again, by a request that is done over, is no second one.
-- Returns when it was made, or nothing when the tenant has too many.
local all = p .. ':webhooks:' .. ARGV[3]
if not redis.call('ZSCORE', all, ARGV[2]) and redis.call('ZCARD', all) >= tonumber(ARGV[4]) then return false end
local at = stamp()
redis.call('ZADD', all, at, ARGV[2])
redis.call('HSET', webhook(ARGV[2]), 'tenant', ARGV[3], 'url', ARGV[5], 'events', ARGV[6], 'secret', ARGV[7], 'at', at)
return at
