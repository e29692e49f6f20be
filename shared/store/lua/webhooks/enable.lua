--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant. What waited while the webhook was off goes on. Returns 1, or 0 when the tenant has none of this id.
local hook = ARGV[2]
if redis.call('HGET', webhook(hook), 'tenant') ~= ARGV[3] then return 0 end
redis.call('HDEL', webhook(hook), 'off', 'failing', 'not_before')
look_at(hook)
return 1
