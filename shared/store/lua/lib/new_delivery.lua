--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
local DELIVERIES_KEPT = 10000

-- One delivery, due now. When there are too many, a webhook's oldest deliveries are deleted.
local function create_delivery(webhook, message, kind, data)
  local id, at = string.sub(redis.sha1hex(message .. webhook), 1, 32), stamp()
  redis.call('HSET', delivery_key(id), 'webhook', webhook, 'message', message, 'kind', kind, 'data', data, 'at', at, 'since', at)
  redis.call('EXPIRE', delivery_key(id), DELIVERY_S)
  redis.call('ZADD', due_key(webhook), at, id)
  redis.call('ZADD', deliveries_key(webhook), at, id)
  redis.call('ZREMRANGEBYSCORE', deliveries_key(webhook), '-inf', now() - DELIVERY_S)
  while redis.call('ZCARD', deliveries_key(webhook)) > DELIVERIES_KEPT do
    local oldest = redis.call('ZPOPMIN', deliveries_key(webhook))[1]
    redis.call('DEL', delivery_key(oldest))
    redis.call('ZREM', due_key(webhook), oldest)
    if redis.call('ZREM', delivering_key(webhook), oldest) == 1 then
      schedule_webhooks(redis.call('HGET', webhook_key(webhook), 'tenant'))
    end
  end
  redis.call('EXPIRE', due_key(webhook), DELIVERY_S)
  redis.call('EXPIRE', deliveries_key(webhook), DELIVERY_S)
  schedule_webhook(webhook)
  return id
end
