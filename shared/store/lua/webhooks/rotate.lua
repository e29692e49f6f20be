--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant, secret, seconds that the old one stays valid. The one before the old one ends now.
-- Returns when the old one ends, or nothing when the tenant has no such webhook.
local key = webhook(ARGV[2])
local f = redis.call('HMGET', key, 'tenant', 'secret')
if f[1] ~= ARGV[3] then return false end
local ends = string.format('%.6f', now() + tonumber(ARGV[5]))
redis.call('HSET', key, 'secret', ARGV[4], 'old', f[2], 'old_until', ends)
return ends
