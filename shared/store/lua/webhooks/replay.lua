--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, webhook, tenant. The same message once more, due now, with a whole day of tries before it.
-- One that is under way stays as it is. Returns 'ok', 'off', or nothing when the tenant's webhook has no such delivery.
local id, hook = ARGV[2], ARGV[3]
local f = redis.call('HMGET', webhook(hook), 'tenant', 'off')
if f[1] ~= ARGV[4] or redis.call('HGET', delivery(id), 'webhook') ~= hook then return false end
if f[2] then return 'off' end
if redis.call('ZSCORE', posting(hook), id) then return 'ok' end
redis.call('HSET', delivery(id), 'since', stamp())
redis.call('HDEL', delivery(id), 's', 'tries', 'ended')
redis.call('EXPIRE', delivery(id), DELIVERY_KEPT_S)
redis.call('ZADD', due(hook), now(), id)
redis.call('EXPIRE', due(hook), DELIVERY_KEPT_S)
look_at(hook)
return 'ok'
