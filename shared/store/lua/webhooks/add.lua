--- @include lib/time
--- @include lib/webhook_keys
--- @args id tenant max_webhooks:number url events secret
-- Creates a webhook. The same id again, by a repeated request, creates no second one.
-- Returns when it was created, or nothing when the tenant has too many.
local all = webhooks_key(tenant)
if not redis.call('ZSCORE', all, id) and redis.call('ZCARD', all) >= max_webhooks then return false end
local at = stamp()
redis.call('ZADD', all, at, id)
redis.call('HSET', webhook_key(id), 'tenant', tenant, 'url', url, 'events', events, 'secret', secret, 'at', at)
return at
