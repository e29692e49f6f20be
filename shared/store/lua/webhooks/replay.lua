--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args id webhook tenant
-- Sends the same message again, due now, with all its retries. A delivery that is under way stays as it is.
-- Returns 'ok', 'off', or nothing when the tenant's webhook has no such delivery.
local f = redis.call('HMGET', webhook_key(webhook), 'tenant', 'off')
if f[1] ~= tenant or redis.call('HGET', delivery_key(id), 'webhook') ~= webhook then return false end
if f[2] then return 'off' end
if redis.call('ZSCORE', delivering_key(webhook), id) then return 'ok' end
redis.call('HSET', delivery_key(id), 'since', stamp())
redis.call('HDEL', delivery_key(id), 's', 'tries', 'ended')
redis.call('EXPIRE', delivery_key(id), DELIVERY_S)
redis.call('ZADD', due_key(webhook), now(), id)
redis.call('EXPIRE', due_key(webhook), DELIVERY_S)
schedule_webhook(webhook)
return 'ok'
