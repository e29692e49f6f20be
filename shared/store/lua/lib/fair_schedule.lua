--- @include lib/notify
--- @include lib/queue_keys
--- @include lib/tenant_limits
-- The fair schedule between tenants, by their weight: queue/dispatch.lua says how.
-- A tenant pays for what it gets; a negative number refunds.
local function pay(lane, tenant, units)
  redis.call('ZADD', schedule_key(lane), 'XX', 'INCR', units / weight_of(tenant), tenant)
end

-- Where a tenant starts that was not scheduled: at the score that was served last, level with all the others.
local function virtual_time(lane) return tonumber(redis.call('HGET', p .. ':virtual_time', lane) or 0) end

-- Schedules a throttled tenant again if it is below its cap. Being throttled earns no credit, as idling does not.
local function unthrottle(tenant)
  for _, lane in ipairs({'interactive', 'batch'}) do
    local score = redis.call('ZSCORE', throttled_key(lane), tenant)
    if score and not is_at_cap(tenant) then
      redis.call('ZREM', throttled_key(lane), tenant)
      redis.call('ZADD', schedule_key(lane), 'NX', math.max(score, virtual_time(lane)), tenant)
      notify('dispatch')
    end
  end
end
