--- @include lib/new_delivery
--- @include lib/time
--- @include lib/webhook_keys
--- @args id tenant
-- One delivery of the kind webhook.test, whatever events the webhook subscribes to.
-- Returns the delivery's id, 'off', or nothing when the tenant has no such webhook.
local f = redis.call('HMGET', webhook_key(id), 'tenant', 'off')
if f[1] ~= tenant then return false end
if f[2] then return 'off' end
local message = 'msg_' .. string.sub(redis.sha1hex('webhook.test' .. id .. stamp()), 1, 32)
return create_delivery(id, message, 'webhook.test', '{"id":' .. cjson.encode(id) .. '}')
