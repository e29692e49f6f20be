--- @include lib/rate_and_quota
--- @include lib/tenant_limits
--- @include lib/time
-- Units that a job turned out to need after it was accepted: they count, and are never rejected.
local function charge_later(tenant, units)
  if not redis.call('HGET', tenant_key(tenant), 'daily_units') then return end
  local t = now()
  local key = spent_key(tenant, t)
  redis.call('INCRBY', key, units)
  redis.call('EXPIRE', key, math.ceil(86400 - t % 86400) + 3600)
end
