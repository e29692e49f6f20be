--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant. One delivery of the kind webhook.test, whatever the webhook asked for.
-- Returns the delivery's id, 'off', or nothing when the tenant has no such webhook.
local f = redis.call('HMGET', webhook(ARGV[2]), 'tenant', 'off')
if f[1] ~= ARGV[3] then return false end
if f[2] then return 'off' end
local message = 'msg_' .. string.sub(redis.sha1hex('webhook.test' .. ARGV[2] .. stamp()), 1, 32)
return deliver(ARGV[2], message, 'webhook.test', '{"id":' .. cjson.encode(ARGV[2]) .. '}')
