--- @include lib/notify
--- @include lib/time
--- @include lib/webhook_keys
-- `webhook_schedule` holds when each webhook is to be looked at next.
local DELIVERIES_AT_ONCE = 8
local DELIVERIES_A_TENANT = 16

local function smallest(set) return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) end

local function webhooks_of(tenant) return redis.call('ZRANGE', webhooks_key(tenant), 0, -1) end

-- How many more deliveries a webhook may take at once. A webhook whose last delivery failed gets one at a time, and all of a
-- tenant's webhooks share a limit, so that receivers that hang or are slow do not hold up other tenants.
local function free_slots(webhook)
  local f = redis.call('HMGET', webhook_key(webhook), 'tenant', 'failing')
  if not f[1] then return 0 end
  local of_tenant = 0
  for _, one in ipairs(webhooks_of(f[1])) do of_tenant = of_tenant + redis.call('ZCARD', delivering_key(one)) end
  return math.min((f[2] and 1 or DELIVERIES_AT_ONCE) - redis.call('ZCARD', delivering_key(webhook)), DELIVERIES_A_TENANT - of_tenant)
end

-- Schedules a webhook for when a delivery is due and has a free slot, or when a lease ends.
local function schedule_webhook(webhook)
  local f = redis.call('HMGET', webhook_key(webhook), 'url', 'off', 'not_before')
  local t, at = now(), nil
  if f[1] and not f[2] then
    at = smallest(delivering_key(webhook))
    local first = free_slots(webhook) > 0 and smallest(due_key(webhook))
    if first then
      first = math.max(first, tonumber(f[3] or 0), t)
      at = math.min(at or first, first)
    end
  end
  if not at then return redis.call('ZREM', p .. ':webhook_schedule', webhook) end
  redis.call('ZADD', p .. ':webhook_schedule', at, webhook)
  if at <= t then notify('deliver') end
end

-- A slot came free: any webhook of the tenant may take it.
local function schedule_webhooks(tenant)
  for _, webhook in ipairs(webhooks_of(tenant)) do schedule_webhook(webhook) end
end
