--- @include lib/queue_keys
local function tenant_key(tenant) return p .. ':tenant:' .. tenant end

local function weight_of(tenant) return tonumber(redis.call('HGET', tenant_key(tenant), 'weight') or 1) end

-- Whether the tenant has as many jobs in flight as it may, in both lanes together.
local function is_at_cap(tenant)
  local cap = redis.call('HGET', tenant_key(tenant), 'concurrency')
  if not cap then return false end
  local out = redis.call('SCARD', in_flight_key('interactive', tenant)) + redis.call('SCARD', in_flight_key('batch', tenant))
  return out >= tonumber(cap)
end
